// SPDX-License-Identifier: MIT
// The C interface: devices.
#include <fcntl.h>

#include <cstdlib>
#include <cstring>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "capi/call_object.h"
#include "capi/device_arguments.h"
#include "inspect/inspect_service.h"
#include "inspect/inspection_json.h"

using namespace passthru;

extern "C" {

int passthru_device_open(passthru_domain* handle, const passthru_device_options* options,
                         passthru_device** device) {
  constexpr const char* kOperation = "open a device";
  return call_domain(handle, kOperation, [=](CDomain& domain) -> Result<void> {
    PASSTHRU_TRY(require(device != nullptr, kOperation, "a pointer is NULL"));
    DeviceArguments arguments = PASSTHRU_TRY(device_arguments(options));
    if (arguments.options.placement == Placement::Vmm && !domain.hypervisor().places_bars()) {
      return fail(EINVAL, kOperation, "PASSTHRU_BARS_BY_VMM needs the callback place_bar");
    }
    auto opened = PASSTHRU_TRY(
        AssignedDevice::open(domain.domain(), arguments.options, std::move(arguments.source)));
    AssignedDevice& assigned = *opened;
    passthru_device* added = devices().add(
        std::make_unique<CDevice>(CDevice{.domain = handle, .device = std::move(opened)}));
    if (added == nullptr) return fail(ENFILE, kOperation, "this process has too many devices");
    if (auto known = domain.add(added, assigned); !known) {
      devices().remove(added);  // closes it
      return known;
    }
    *device = added;
    return {};
  });
}

int passthru_device_close(passthru_device* handle) {
  constexpr const char* kOperation = "close a device";
  return call(kOperation, [=]() -> Result<void> {
    passthru_domain* of = nullptr;
    if (const auto device = devices().find(handle)) of = device->domain;
    // If the domain is being destroyed, that closes the device.
    const auto domain = domains().find(of);
    if (domain && close_device(*domain, handle)) return {};
    return fail(EINVAL, kOperation, "the device does not exist");
  });
}

int passthru_device_config_read(passthru_device* handle, uint32_t offset, uint32_t width,
                                uint32_t* value) {
  constexpr const char* kOperation = "read config space";
  if (value != nullptr) *value = UINT32_MAX;
  return call_device(handle, kOperation, [=](AssignedDevice& device) -> Result<void> {
    PASSTHRU_TRY(require(value != nullptr, kOperation, "a pointer is NULL"));
    PASSTHRU_TRY(check_config_access(offset, width, kOperation));
    *value = device.config_read(offset, width);
    return {};
  });
}

int passthru_device_config_write(passthru_device* handle, uint32_t offset, uint32_t width,
                                 uint32_t value) {
  constexpr const char* kOperation = "write config space";
  return call_device(handle, kOperation, [=](AssignedDevice& device) -> Result<void> {
    PASSTHRU_TRY(check_config_access(offset, width, kOperation));
    device.config_write(offset, width, value);
    return {};
  });
}

int passthru_device_end_of_intx(passthru_device* handle) {
  return call_device(handle, "end INTx", [](AssignedDevice& device) -> Result<void> {
    device.end_of_intx();
    return {};
  });
}

int passthru_device_retranslate(passthru_device* handle) {
  return call_device(handle, "translate again", [](AssignedDevice& device) -> Result<void> {
    device.retranslate();
    return {};
  });
}

int passthru_device_reset(passthru_device* handle) {
  return call_device(handle, "reset a device",
                     [](AssignedDevice& device) -> Result<void> { return device.reset(); });
}

int passthru_device_check(passthru_device* handle, uint32_t* restored) {
  return call_device(handle, "check a device", [=](AssignedDevice& device) -> Result<void> {
    const uint32_t count = PASSTHRU_TRY(device.check_health());
    if (restored != nullptr) *restored = count;
    return {};
  });
}

int passthru_device_event_fds(passthru_device* handle, int* fds, size_t* count) {
  constexpr const char* kOperation = "read the event descriptors";
  return call_device(handle, kOperation, [=](AssignedDevice& device) -> Result<void> {
    return copy_out(device.event_fds(), fds, count, kOperation);
  });
}

int passthru_device_handle_events(passthru_device* handle) {
  return call_device(handle, "handle events", [](AssignedDevice& device) -> Result<void> {
    device.handle_events();
    return {};
  });
}

int passthru_device_watch(passthru_device* handle, uint32_t vector, bool on) {
  return call_device(handle, "watch a vector", [=](AssignedDevice& device) -> Result<void> {
    return device.watch(vector, on);
  });
}

int passthru_device_trigger(passthru_device* handle, uint32_t vector) {
  return call_device(handle, "trigger a vector", [=](AssignedDevice& device) -> Result<void> {
    return device.trigger(vector);
  });
}

int passthru_device_inspect_json(passthru_device* handle, char** json) {
  constexpr const char* kOperation = "inspect a device";
  return call_device(handle, kOperation, [=](AssignedDevice& device) -> Result<void> {
    PASSTHRU_TRY(require(json != nullptr, kOperation, "a pointer is NULL"));
    nlohmann::json document = device.inspect();
    document["version"] = InspectService::kVersion;
    const std::string text =
        document.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
    char* copy = ::strdup(text.c_str());
    if (copy == nullptr) return fail(ENOMEM, kOperation);
    *json = copy;
    return {};
  });
}

}  // extern "C"
