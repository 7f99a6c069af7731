// SPDX-License-Identifier: MIT
// The C interface: the state of a device that goes on in another process.
#include <linux/pci_regs.h>

#include <algorithm>
#include <cstring>
#include <string>
#include <string_view>
#include <utility>

#include "capi/call_object.h"
#include "capi/sized_struct.h"
#include "capi/struct_sizes.h"
#include "device/device_state.h"

namespace passthru {
namespace {

/// Returns the size of the largest state: a device with 2,048 vectors of MSI-X, and with MSI.
size_t largest_state() {
  constexpr unsigned kMaxVectors = PCI_MSIX_FLAGS_QSIZE + 1;
  DeviceState largest;
  largest.shape.msix = MsixLayout{.vectors = kMaxVectors};
  largest.shape.msi = true;
  largest.interrupts.msix.vectors.resize(kMaxVectors);
  return encode(largest).size();
}

}  // namespace
}  // namespace passthru

using namespace passthru;

extern "C" {

int passthru_device_descriptors(passthru_device* handle, passthru_descriptors* descriptors) {
  constexpr const char* kOperation = "hand the device over";
  return call_device(handle, kOperation, [=](AssignedDevice& device) -> Result<void> {
    const DeviceDescriptors own = PASSTHRU_TRY(device.descriptors());
    const uint32_t backend =
        own.backend == Backend::Group ? PASSTHRU_BACKEND_GROUP : PASSTHRU_BACKEND_CDEV;
    return write_struct({.size = 0,
                         .backend = backend,
                         .device = own.device,
                         .group = own.group,
                         .iommu = own.iommu,
                         .reserved = 0},
                        descriptors, kDescriptorsSize, kOperation);
  });
}

int passthru_device_state_save(passthru_device* handle, void* state, size_t* size) {
  constexpr const char* kOperation = "save the device's state";
  return call_device(handle, kOperation, [=](AssignedDevice& device) -> Result<void> {
    PASSTHRU_TRY(require(size != nullptr, kOperation, "a pointer is NULL"));
    // Saving changes the device, so the room must be enough for any state.
    const size_t largest = largest_state();
    const size_t room = std::exchange(*size, largest);
    if (state == nullptr) return {};
    if (room < largest) return fail(ENOSPC, kOperation, "the largest state does not fit");
    const std::string bytes = PASSTHRU_TRY(device.save_state());
    std::memcpy(state, bytes.data(), bytes.size());
    *size = bytes.size();
    return {};
  });
}

int passthru_device_state_load(passthru_device* handle, const void* state, size_t size) {
  constexpr const char* kOperation = "load the device's state";
  return call_device(handle, kOperation, [=](AssignedDevice& device) -> Result<void> {
    PASSTHRU_TRY(require(state != nullptr, kOperation, "a pointer is NULL"));
    PASSTHRU_TRY(require_bytes(state, size, kOperation));
    return device.load_state(std::string_view(static_cast<const char*>(state), size));
  });
}

}  // extern "C"
