// SPDX-License-Identifier: MIT
// Two VMMs for tests of a device that goes from one process to another: the first as in
// AssignedFixture, the second with a domain of its own on duplicates of the first's descriptors.
#pragma once

#include <gtest/gtest.h>

#include <array>
#include <cstddef>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "tests/fakes/handed_over.h"
#include "tests/unit/device/assigned_fixture.h"

namespace passthru {

inline std::string name_of_backend(const ::testing::TestParamInfo<Backend>& tested) {
  return to_string(tested.param);
}

class HandoverFixture : public AssignedFixture, public ::testing::WithParamInterface<Backend> {
 protected:
  void SetUp() override {
    ASSERT_TRUE(domain.add_memory(0, memory_));
    ASSERT_TRUE(next_domain.add_memory(0, memory_));
  }

  /// Opens the device in the first VMM, by the backend that is tested.
  void open_first(const FakeSpec& spec, AssignOptions options = {}) {
    hardware = &plug_with_node(spec);
    open(options, {.backend = GetParam()});
  }
  /// Gives duplicates of the device's descriptors to the second VMM.
  DeviceSource hand_over() { return handed_over(*device, next_domain); }
  Result<std::unique_ptr<AssignedDevice>> try_next(AssignOptions options, DeviceSource source) {
    options.device = hardware->spec().bdf;
    options.guest_address = {.device = 5};
    options.start = DeviceStart::Keep;
    return AssignedDevice::open(next_domain, options, std::move(source));
  }
  void open_next(const AssignOptions& options = {}) {
    auto opened = try_next(options, hand_over());
    ASSERT_TRUE(opened) << opened.error().message();
    next = std::move(*opened);
  }
  std::string save() {
    auto saved = device->save_state();
    EXPECT_TRUE(saved) << saved.error().message();
    return saved.value_or("");
  }
  /// Opens the device in the second VMM and loads the state there.
  void go_on(const std::string& state) {
    open_next();
    if (HasFatalFailure()) return;
    const auto loaded = next->load_state(state);
    ASSERT_TRUE(loaded) << loaded.error().message();
  }

  uint32_t next_read(uint64_t address) {
    uint32_t value = 0;
    next_domain.mmio().read(address, std::as_writable_bytes(std::span{&value, 1}));
    return value;
  }
  void next_write(uint64_t address, uint32_t value) {
    next_domain.mmio().write(address, std::as_bytes(std::span{&value, 1}));
  }
  static std::vector<uint32_t> config_of(AssignedDevice& of) {
    std::vector<uint32_t> bytes;
    for (uint32_t at = 0; at < 4096; ++at) bytes.push_back(of.config_read(at, 1));
    return bytes;
  }

  alignas(4096) static inline std::array<std::byte, 4096> memory_{};
  FakeHypervisor next_host{*kernel};
  Domain next_domain{kernel, next_host, sysfs.sysfs()};
  std::unique_ptr<AssignedDevice> next;
};

}  // namespace passthru
