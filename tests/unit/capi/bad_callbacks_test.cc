// SPDX-License-Identifier: MIT
// Tests of callbacks that are missing, that fail, and that return nonsense.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cerrno>
#include <cstdint>
#include <functional>
#include <string_view>
#include <utility>
#include <vector>

#include "tests/unit/capi/capi_fixture.h"

namespace passthru {
namespace {

using ::testing::HasSubstr;

class BadCallbacks : public CapiFixture {};

TEST_F(BadCallbacks, AGroupOfCallbacksIsWholeOrMissing) {
  using Spoil = std::function<void(passthru_callbacks&)>;
  const std::vector<std::pair<const char*, Spoil>> wrong = {
      {"unmap", [](auto& c) { c.unmap = nullptr; }},
      {"map", [](auto& c) { c.map = nullptr; }},
      {"untrap", [](auto& c) { c.untrap = nullptr; }},
      {"irqfd_off", [](auto& c) { c.irqfd_off = nullptr; }},
      {"irqfd_on", [](auto& c) { c.irqfd_on = nullptr; }},
      {"route_add", [](auto& c) { c.route_add = nullptr; }},
      {"route_update", [](auto& c) { c.route_update = nullptr; }},
      {"route_del", [](auto& c) { c.route_del = nullptr; }},
      {"routes_commit", [](auto& c) { c.routes_begin = fake_callbacks::routes_begin; }},
      {"routes_begin", [](auto& c) { c.routes_commit = fake_callbacks::routes_commit; }},
      {"intx_off", [](auto& c) { c.intx_off = nullptr; }},
      {"file_removed", [](auto& c) { c.file_removed = nullptr; }},
  };
  for (const auto& [name, spoil] : wrong) {
    passthru_callbacks callbacks = all_callbacks();
    spoil(callbacks);
    passthru_domain* made = nullptr;
    EXPECT_EQ(passthru_domain_create(&callbacks, &vmm, nullptr, &made), -EINVAL) << name;
    EXPECT_THAT(passthru_last_error(), HasSubstr(name));
    EXPECT_EQ(made, nullptr);
  }
}

TEST_F(BadCallbacks, BarsByTheVmmNeedItsCallback) {
  plug();
  passthru_callbacks callbacks = all_callbacks();
  callbacks.place_bar = nullptr;
  create(callbacks);
  const auto given = options("0000:00:02.0", PASSTHRU_BARS_BY_VMM);
  passthru_device* device = nullptr;
  EXPECT_EQ(passthru_device_open(domain, &given, &device), -EINVAL);
  EXPECT_THAT(passthru_last_error(), HasSubstr("place_bar"));
}

// Each callback that can fail fails once while a device is opened, placed and used.
TEST_F(BadCallbacks, ACallbackThatFailsLeavesADeviceThatWorksAfterACheck) {
  plug();
  for (const char* failing :
       {"map", "unmap", "create_route", "update_route", "arm", "arm_intx", "file_added"}) {
    create();
    vmm.host.fail_next(failing, ENOSPC);
    bool called = false;
    vmm.host.hook.set([&](std::string_view call, bool /*after*/) { called |= call == failing; });
    const auto given = options();
    passthru_device* device = nullptr;
    const int first = passthru_device_open(domain, &given, &device);
    EXPECT_TRUE(first == 0 || first == -ENOSPC) << failing;
    if (first != 0) device = open();
    place(device);
    place(device, kCWindow + 0x10000);
    place(device);
    enable_msix(device);
    program_by_address(1);
    const uint32_t data = message_of(1).data + 1;
    const uint64_t data_of_vector_1 = kCWindow + kCTable + 16 + 8;
    EXPECT_EQ(passthru_domain_mmio_write(domain, data_of_vector_1, &data, 4), 0);
    EXPECT_EQ(passthru_device_check(device, nullptr), 0) << failing;
    EXPECT_EQ(passthru_device_trigger(device, 1), 0) << failing << passthru_last_error();
    EXPECT_EQ(vmm.host.delivered().size(), 1U) << failing;
    EXPECT_TRUE(called || first != 0) << failing;
    vmm.host.hook.set({});
    EXPECT_EQ(passthru_domain_destroy(domain), 0);
    EXPECT_TRUE(kernel->nothing_leaked()) << failing;
    domain = nullptr;
  }
}

TEST_F(BadCallbacks, ACallbackThatReturnsNonsenseFailsItsOperationOnly) {
  plug();
  passthru_callbacks callbacks = all_callbacks();
  callbacks.map = [](void*, uint64_t, uint64_t, void*) { return -1'000'000; };
  create(callbacks);
  passthru_device* device = open();
  place(device);
  ASSERT_EQ(vmm.events.size(), 1U) << "the BAR was refused";
  uint32_t ids = 0;
  EXPECT_EQ(passthru_device_config_read(device, 0, 4, &ids), 0);
  EXPECT_EQ(ids, 0x0010'1b36U);
}

}  // namespace
}  // namespace passthru
