// SPDX-License-Identifier: MIT
// A guest that suspends its device, removes it and finds it again, or resets it: the accesses of
// Linux, with the state that the driver must find afterwards.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>

#include "tests/unit/device/assigned_fixture.h"

namespace passthru {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr uint32_t kRegister = 0x1000;
constexpr uint32_t kAllMasked = 0xc000;  // MSI-X Enable and Function Mask

class GuestSuspend : public AssignedFixture {
 protected:
  void SetUp() override { open_driven(2); }

  // pci_save_state(), pci_disable_device(), pci_prepare_to_sleep().
  void suspend() {
    device->config_write(kMsixControl, 2, kAllMasked);
    device->config_write(kCommand, 2, 0);
    device->config_write(kPowerControl, 2, 3);
  }
  // pci_set_power_state(), pci_restore_state() with __pci_restore_msix_state().
  void resume() {
    device->config_write(kPowerControl, 2, 0);
    place(kWindow);
    device->config_write(kMsixControl, 2, kAllMasked);
    for (const unsigned vector : {0U, 1U}) enable_vector(vector);
    enable_msix();
  }
  void expect_a_working_device(uint64_t window = kWindow) {
    mmio_write(window + kRegister, 0x600d'da7a);
    EXPECT_EQ(mmio_read(window + kRegister), 0x600d'da7aU);
    for (const unsigned vector : {0U, 1U}) {
      EXPECT_EQ(hardware->fire(vector), Fired::Delivered);
      EXPECT_THAT(host.delivered(), ElementsAre(message_of(vector)));
    }
  }
};

TEST_F(GuestSuspend, Case23FiveTimesTheDriverFindsItsRegistersAndInterruptsAgain) {
  for (uint32_t round = 1; round <= 5; ++round) {
    SCOPED_TRACE(round);
    mmio_write(kWindow + kRegister, round);
    suspend();
    EXPECT_THAT(host.mappings(), IsEmpty());
    EXPECT_EQ(mmio_read(kWindow + kRegister), UINT32_MAX);
    EXPECT_EQ(device->config_read(kPowerControl, 2) & 3, 3U);
    resume();
    EXPECT_EQ(mmio_read(kWindow + kRegister), round);
    EXPECT_THAT(host.delivered(), IsEmpty()) << "nothing fired";
    expect_a_working_device();
  }
  EXPECT_THAT(host.events, IsEmpty());
}

TEST_F(GuestSuspend, Case23AnInterruptDuringTheSuspendComesOnceWithTheResume) {
  suspend();
  hardware->fire(1);
  EXPECT_THAT(host.delivered(), IsEmpty());
  resume();
  EXPECT_THAT(host.delivered(), ElementsAre(message_of(1)));
  expect_a_working_device();
}

TEST_F(GuestSuspend, Case23ADeviceThatTheGuestRemovesIsFoundAgainAtAnotherAddress) {
  device->config_write(kMsixControl, 2, 0);
  device->config_write(kCommand, 2, 0);
  EXPECT_THAT(host.mappings(), IsEmpty());
  // The rescan sizes the BAR, and places it.
  EXPECT_EQ(device->config_read(0, 2), hardware->spec().vendor);
  device->config_write(kBar0, 4, UINT32_MAX);
  EXPECT_EQ(device->config_read(kBar0, 4) & ~0xfU, 0xffff'c000U);
  place(kElsewhere);
  enable_msix();
  for (const unsigned vector : {0U, 1U}) enable_vector(vector, kElsewhere + 0x2000);
  EXPECT_FALSE(mapped(kWindow));
  expect_a_working_device(kElsewhere);
}

TEST_F(GuestSuspend, Case23AfterEveryResetTheDriverStartsTheDeviceAgain) {
  struct Case {
    const char* what;
    std::function<void()> reset;
  };
  const Case cases[] = {
      {"by the guest", [this] { device->config_write(kDeviceControl, 2, 0x8000); }},
      {"by the guest, in D3hot",
       [this] {
         suspend();
         device->config_write(kDeviceControl, 2, 0x8000);
       }},
      {"of the VM", [this] { EXPECT_TRUE(device->reset()); }},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(c.what);
    c.reset();
    EXPECT_EQ(device->config_read(kPowerControl, 2) & 3, 0U);
    EXPECT_EQ(device->config_read(kMsixControl, 2) & kAllMasked, 0U);
    EXPECT_THAT(host.mappings(), IsEmpty());
    start_driver(2);
    host.delivered();
    expect_a_working_device();
  }
}

}  // namespace
}  // namespace passthru
