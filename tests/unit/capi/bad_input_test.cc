// SPDX-License-Identifier: MIT
// Tests of wrong arguments: each function of the C interface refuses them with an errno and a text.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cerrno>
#include <functional>
#include <set>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "capi/sized_struct.h"
#include "tests/unit/capi/capi_fixture.h"

namespace passthru {
namespace {

using ::testing::HasSubstr;

using DomainCall = std::function<int(passthru_domain*)>;
using DeviceCall = std::function<int(passthru_device*)>;

passthru_device_options open_options() {
  passthru_device_options options{};
  options.size = sizeof options;
  options.device = "0000:00:02.0";
  return options;
}

/// Every function on a domain, by its name without "passthru_", with arguments that are right for
/// an empty domain.
const std::vector<std::pair<const char*, DomainCall>>& domain_calls() {
  static std::byte page[4096];
  static const std::vector<std::pair<const char*, DomainCall>> calls = {
      {"domain_destroy", [](auto* d) { return passthru_domain_destroy(d); }},
      {"domain_add_memory",
       [](auto* d) { return passthru_domain_add_memory(d, 0, page, 4096, 0); }},
      {"domain_add_memory_fd",
       [](auto* d) { return passthru_domain_add_memory_fd(d, 0, 0, 0, page, 4096, 0); }},
      {"domain_remove_memory", [](auto* d) { return passthru_domain_remove_memory(d, 0); }},
      {"domain_hide_bars", [](auto* d) { return passthru_domain_hide_bars(d, 0, 4096); }},
      {"domain_usable_ranges",
       [](auto* d) {
         size_t count = 0;
         return passthru_domain_usable_ranges(d, nullptr, &count);
       }},
      {"domain_use_iommufd", [](auto* d) { return passthru_domain_use_iommufd(d, 0); }},
      {"domain_use_container", [](auto* d) { return passthru_domain_use_container(d, 0); }},
      {"domain_use_p2p", [](auto* d) { return passthru_domain_use_p2p(d, PASSTHRU_P2P_AUTO); }},
      {"domain_set_kvm_routes",
       [](auto* d) { return passthru_domain_set_kvm_routes(d, nullptr, 0); }},
      {"domain_mmio_read", [](auto* d) { return passthru_domain_mmio_read(d, 0, page, 4); }},
      {"domain_mmio_write", [](auto* d) { return passthru_domain_mmio_write(d, 0, page, 4); }},
      {"domain_port_read", [](auto* d) { return passthru_domain_port_read(d, 0, page, 4); }},
      {"domain_port_write", [](auto* d) { return passthru_domain_port_write(d, 0, page, 4); }},
      {"domain_reset", [](auto* d) { return passthru_domain_reset(d); }},
      {"device_open",
       [](auto* d) {
         const auto options = open_options();
         passthru_device* device = nullptr;
         return passthru_device_open(d, &options, &device);
       }},
      {"domain_start_audit", [](auto* d) { return passthru_domain_start_audit(d, 100); }},
      {"domain_stop_audit", [](auto* d) { return passthru_domain_stop_audit(d); }},
      {"domain_forwarder_fd",
       [](auto* d) {
         int fd = 0;
         return passthru_domain_forwarder_fd(d, &fd);
       }},
      {"domain_forward", [](auto* d) { return passthru_domain_forward(d); }},
      {"domain_inspect_serve", [](auto* d) { return passthru_domain_inspect_serve(d, "/x", 0); }},
      {"domain_inspect_group", [](auto* d) { return passthru_domain_inspect_group(d, 0); }},
      {"domain_inspect_fd",
       [](auto* d) {
         int fd = 0;
         return passthru_domain_inspect_fd(d, &fd);
       }},
      {"domain_inspect_run", [](auto* d) { return passthru_domain_inspect_run(d); }},
  };
  return calls;
}

/// Every function on a device, likewise.
const std::vector<std::pair<const char*, DeviceCall>>& device_calls() {
  static std::byte bytes[4];
  static const std::vector<std::pair<const char*, DeviceCall>> calls = {
      {"device_close", [](auto* d) { return passthru_device_close(d); }},
      {"device_config_read",
       [](auto* d) {
         uint32_t value = 0;
         return passthru_device_config_read(d, 0, 4, &value);
       }},
      {"device_config_write", [](auto* d) { return passthru_device_config_write(d, 0, 4, 0); }},
      {"device_bar_info",
       [](auto* d) {
         passthru_bar_info info{};
         info.size = sizeof info;
         return passthru_device_bar_info(d, 0, &info);
       }},
      {"device_bar_spans",
       [](auto* d) {
         passthru_span spans[8];
         size_t count = 8;
         return passthru_device_bar_spans(d, 0, spans, &count);
       }},
      {"device_bar_read", [](auto* d) { return passthru_device_bar_read(d, 0, 0, bytes, 4); }},
      {"device_bar_write", [](auto* d) { return passthru_device_bar_write(d, 0, 0, bytes, 4); }},
      {"device_end_of_intx", [](auto* d) { return passthru_device_end_of_intx(d); }},
      {"device_retranslate", [](auto* d) { return passthru_device_retranslate(d); }},
      {"device_reset", [](auto* d) { return passthru_device_reset(d); }},
      {"device_check", [](auto* d) { return passthru_device_check(d, nullptr); }},
      {"device_event_fds",
       [](auto* d) {
         int fds[8];
         size_t count = 8;
         return passthru_device_event_fds(d, fds, &count);
       }},
      {"device_handle_events", [](auto* d) { return passthru_device_handle_events(d); }},
      {"device_descriptors",
       [](auto* d) {
         passthru_descriptors descriptors{};
         descriptors.size = sizeof descriptors;
         return passthru_device_descriptors(d, &descriptors);
       }},
      {"device_state_save",
       [](auto* d) {
         size_t size = 0;
         return passthru_device_state_save(d, nullptr, &size);
       }},
      {"device_state_load", [](auto* d) { return passthru_device_state_load(d, bytes, 4); }},
      {"device_inspect_json",
       [](auto* d) {
         char* json = nullptr;
         const int result = passthru_device_inspect_json(d, &json);
         passthru_free(json);
         return result;
       }},
      {"device_watch", [](auto* d) { return passthru_device_watch(d, 0, true); }},
      {"device_trigger", [](auto* d) { return passthru_device_trigger(d, 0); }},
  };
  return calls;
}

class BadInputTest : public CapiFixture {};

// The build passes the names in capi/libpassthru.map.
TEST_F(BadInputTest, TheTablesHaveARowForEveryExportedFunction) {
  std::set<std::string> rows = {// Functions without a handle. They are in other tests below.
                                "passthru_version", "passthru_last_error", "passthru_free",
                                "passthru_domain_create", "passthru_domain_create_kvm"};
  for (const auto& [name, call] : domain_calls()) rows.insert(std::string("passthru_") + name);
  for (const auto& [name, call] : device_calls()) rows.insert(std::string("passthru_") + name);
  std::set<std::string> exported;
  std::istringstream names(PASSTHRU_EXPORTED_FUNCTIONS);
  for (std::string name; std::getline(names, name, ',');) exported.insert(name);
  EXPECT_EQ(rows, exported);
}

TEST_F(BadInputTest, HandlesThatDoNotExistAreRefusedByEveryFunction) {
  plug();
  create();
  passthru_device* device = open();
  ASSERT_EQ(passthru_device_close(device), 0);
  passthru_domain* destroyed = domain;
  ASSERT_EQ(passthru_domain_destroy(destroyed), 0);
  domain = nullptr;
  int local = 0;
  for (void* wrong :
       {static_cast<void*>(nullptr), static_cast<void*>(destroyed), static_cast<void*>(device),
        static_cast<void*>(&local), reinterpret_cast<void*>(UINTPTR_MAX)}) {
    for (const auto& [name, call] : domain_calls()) {
      EXPECT_EQ(call(static_cast<passthru_domain*>(wrong)), -EINVAL) << name;
      EXPECT_THAT(passthru_last_error(), HasSubstr("does not exist")) << name;
    }
    for (const auto& [name, call] : device_calls()) {
      EXPECT_EQ(call(static_cast<passthru_device*>(wrong)), -EINVAL) << name;
      EXPECT_THAT(passthru_last_error(), HasSubstr("does not exist")) << name;
    }
  }
}

// The handles of the VMM whose callback calls the library.
passthru_domain* called_domain = nullptr;
passthru_device* called_device = nullptr;
unsigned refused = 0;

TEST_F(BadInputTest, ACallbackCannotCallTheLibrary) {
  plug();
  create();
  passthru_device* device = open();
  called_domain = domain;
  called_device = device;
  refused = 0;
  vmm.in_map = [](void* /*vmm*/) {
    for (const auto& [name, call] : domain_calls()) {
      EXPECT_EQ(call(called_domain), -EDEADLK) << name;
      ++refused;
    }
    for (const auto& [name, call] : device_calls()) {
      EXPECT_EQ(call(called_device), -EDEADLK) << name;
      ++refused;
    }
    EXPECT_THAT(passthru_last_error(), HasSubstr("callback"));
    EXPECT_EQ(passthru_version(), PASSTHRU_VERSION);
  };
  place(device);
  EXPECT_EQ(refused, domain_calls().size() + device_calls().size());
  EXPECT_EQ(vmm.host.mappings().size(), 1U) << "the mapping itself succeeds";
  vmm.in_map = nullptr;
}

TEST_F(BadInputTest, NullPointersAreRefused) {
  plug();
  create();
  passthru_device* device = open();
  size_t count = 1;
  const auto good = open_options();
  const std::vector<int> results = {
      passthru_domain_create(nullptr, nullptr, nullptr, nullptr),
      passthru_domain_create_kvm(nullptr, nullptr, nullptr, nullptr),
      passthru_domain_add_memory(domain, 0, nullptr, 4096, 0),
      passthru_domain_add_memory_fd(domain, 0, 0, 0, nullptr, 4096, 0),
      passthru_domain_usable_ranges(domain, nullptr, nullptr),
      passthru_domain_mmio_read(domain, 0, nullptr, 4),
      passthru_domain_mmio_write(domain, 0, nullptr, 4),
      passthru_domain_port_read(domain, 0, nullptr, 4),
      passthru_domain_port_write(domain, 0, nullptr, 4),
      passthru_device_open(domain, nullptr, &device),
      passthru_device_open(domain, &good, nullptr),
      passthru_device_config_read(device, 0, 4, nullptr),
      passthru_device_bar_info(device, 0, nullptr),
      passthru_device_bar_spans(device, 0, nullptr, nullptr),
      passthru_device_bar_read(device, 0, 0, nullptr, 4),
      passthru_device_bar_write(device, 0, 0, nullptr, 4),
      passthru_device_event_fds(device, nullptr, nullptr),
      passthru_device_inspect_json(device, nullptr),
      passthru_device_descriptors(device, nullptr),
      passthru_device_state_save(device, nullptr, nullptr),
      passthru_device_state_load(device, nullptr, 4),
      passthru_domain_forwarder_fd(domain, nullptr),
      passthru_domain_inspect_fd(domain, nullptr),
  };
  for (size_t at = 0; at < results.size(); ++at) EXPECT_EQ(results[at], -EINVAL) << at;
  count = 0;
  EXPECT_EQ(passthru_device_bar_spans(device, 0, nullptr, &count), -ENOSPC);
  EXPECT_GT(count, 0U);
  count = 100;
  EXPECT_EQ(passthru_device_bar_spans(device, 0, nullptr, &count), -EINVAL);
  EXPECT_EQ(count, 100U) << "a call that fails changes nothing";
  passthru_free(nullptr);
}

TEST_F(BadInputTest, NumbersOutOfRangeAreRefused) {
  plug();
  create();
  passthru_device* device = open();
  uint32_t value = 0;
  for (const auto& [offset, width] : std::vector<std::pair<uint32_t, uint32_t>>{
           {4096, 1}, {4095, 2}, {4093, 4}, {UINT32_MAX, 4}, {0, 0}, {0, 3}, {0, 8}}) {
    EXPECT_EQ(passthru_device_config_read(device, offset, width, &value), -EINVAL) << offset;
    EXPECT_EQ(value, UINT32_MAX);
    EXPECT_EQ(passthru_device_config_write(device, offset, width, 0), -EINVAL) << offset;
  }
  passthru_bar_info info{};
  info.size = sizeof info;
  for (const uint32_t bar : {7U, UINT32_MAX}) {
    EXPECT_EQ(passthru_device_bar_info(device, bar, &info), -EINVAL);
    EXPECT_EQ(passthru_device_bar_read(device, bar, 0, &value, 4), -EINVAL);
    EXPECT_EQ(passthru_device_bar_write(device, bar, 0, &value, 4), -EINVAL);
  }
  EXPECT_EQ(passthru_device_bar_read(device, 0, UINT64_MAX, &value, 4), 0);
  EXPECT_EQ(value, UINT32_MAX) << "beyond the BAR";
  EXPECT_EQ(passthru_device_watch(device, 65, true), -EINVAL);
  EXPECT_EQ(passthru_device_trigger(device, UINT32_MAX), -EINVAL);
  EXPECT_EQ(passthru_domain_add_memory(domain, 0, &value, 4096, 2), -EINVAL) << "unknown flag";
  EXPECT_EQ(passthru_domain_add_memory(domain, 1, &value, 4095, 0), -EINVAL);
  EXPECT_EQ(passthru_domain_add_memory(domain, 0, &value, SIZE_MAX, 0), -EINVAL);
  EXPECT_EQ(passthru_domain_mmio_read(domain, 0, &value, SIZE_MAX), -EINVAL);
  EXPECT_EQ(passthru_domain_set_kvm_routes(domain, nullptr, 0), -ENOTSUP);
  EXPECT_EQ(passthru_domain_use_p2p(domain, 3), -EINVAL);
  EXPECT_EQ(passthru_domain_use_p2p(domain, UINT32_MAX), -EINVAL);
}

TEST_F(BadInputTest, DescriptorsThatAreNotOpenOrAreOfAnotherFileAreRefused) {
  create();
  alignas(4096) static std::byte memory[4096];
  EXPECT_EQ(passthru_domain_add_memory_fd(domain, 0, -1, 0, memory, sizeof memory, 0), -EBADF);
  EXPECT_EQ(passthru_domain_use_iommufd(domain, -1), -EBADF);
  EXPECT_EQ(passthru_domain_use_container(domain, -1), -EBADF);
  passthru_kvm_options on_kvm{};
  on_kvm.size = sizeof on_kvm;
  passthru_domain* made = nullptr;
  for (const int no_vm : {-1, STDERR_FILENO}) {
    on_kvm.vm_fd = no_vm;
    EXPECT_LT(passthru_domain_create_kvm(&on_kvm, nullptr, nullptr, &made), 0) << no_vm;
    EXPECT_STRNE(passthru_last_error(), "");
    EXPECT_EQ(made, nullptr);
  }
}

TEST_F(BadInputTest, SizesAndFlagsThatNoVersionHasAreRefused) {
  plug();
  create();
  passthru_device* device = open();
  passthru_domain* made = nullptr;
  passthru_callbacks callbacks = all_callbacks();
  passthru_domain_options domain_options{.size = sizeof domain_options, .flags = 1U << 31};
  passthru_kvm_options on_kvm{};
  on_kvm.size = sizeof on_kvm;
  on_kvm.flags = 1U << 31;
  EXPECT_EQ(passthru_domain_create(&callbacks, &vmm, &domain_options, &made), -EINVAL);
  EXPECT_EQ(passthru_domain_create_kvm(&on_kvm, &callbacks, &vmm, &made), -EINVAL);
  passthru_bar_info info{};
  passthru_descriptors descriptors{};
  for (const uint32_t size : {0U, 1U, 7U, 4097U, UINT32_MAX}) {
    const int refused_input = size > kMaxStructSize ? -E2BIG : -EINVAL;
    callbacks.size = size;
    EXPECT_EQ(passthru_domain_create(&callbacks, &vmm, nullptr, &made), refused_input) << size;
    domain_options = {.size = size, .flags = 0};
    EXPECT_EQ(passthru_domain_create(nullptr, &vmm, &domain_options, &made), refused_input) << size;
    on_kvm = {};
    on_kvm.size = size;
    EXPECT_EQ(passthru_domain_create_kvm(&on_kvm, nullptr, &vmm, &made), refused_input) << size;
    passthru_device_options device_options = options("0000:00:03.0");
    device_options.size = size;
    passthru_device* opened = nullptr;
    EXPECT_EQ(passthru_device_open(domain, &device_options, &opened), refused_input) << size;
    info.size = size;
    EXPECT_EQ(passthru_device_bar_info(device, 0, &info), -EINVAL) << size;
    descriptors.size = size;
    EXPECT_EQ(passthru_device_descriptors(device, &descriptors), -EINVAL) << size;
    EXPECT_STRNE(passthru_last_error(), "");
  }
  EXPECT_EQ(made, nullptr);
}

TEST_F(BadInputTest, WrongOptionsOfADeviceAreRefusedBeforeItIsOpened) {
  plug();
  create();
  const std::vector<std::pair<const char*, std::function<void(passthru_device_options&)>>> wrong = {
      {"unknown flag", [](auto& o) { o.flags = 1U << 31; }},
      {"no device", [](auto& o) { o.device = nullptr; }},
      {"an address", [](auto& o) { o.device = "00:02"; }},
      {"guest address", [](auto& o) { o.guest_address = 1 << 16; }},
      {"backend", [](auto& o) { o.backend = 3; }},
      {"msix", [](auto& o) { o.msix = 3; }},
      {"msix_bar", [](auto& o) { o.msix_bar = 6; }},
      {"unmapped_bars", [](auto& o) { o.unmapped_bars = 1 << 6; }},
      {"limit", [](auto& o) { o.max_interrupts_per_second = 1'000'001; }},
      {"token", [](auto& o) { o.vf_token = "x"; }},
      {"rom",
       [](auto& o) {
         o.flags = PASSTHRU_NO_ROM;
         o.rom_file = "/x";
       }},
      {"size", [](auto& o) { o.size = 8; }},
  };
  for (const auto& [name, spoil] : wrong) {
    passthru_device_options given = options();
    spoil(given);
    passthru_device* device = nullptr;
    EXPECT_EQ(passthru_device_open(domain, &given, &device), -EINVAL) << name;
    EXPECT_EQ(device, nullptr);
    EXPECT_STRNE(passthru_last_error(), "");
  }
  passthru_device_options given = options();
  given.flags = PASSTHRU_USE_CDEV_FD;
  given.cdev_fd = -1;
  passthru_device* device = nullptr;
  EXPECT_EQ(passthru_device_open(domain, &given, &device), -EBADF);
  EXPECT_EQ(kernel->calls("open_group").size(), 0U);
}

}  // namespace
}  // namespace passthru
