// SPDX-License-Identifier: MIT
// A guest that crashes: its crash kernel takes over a device that nobody has stopped.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/device/assigned_fixture.h"

namespace passthru {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr uint64_t kTable = kElsewhere + 0x2000;
constexpr MsiMessage kNewMessage{.address = 0xfee0'1000, .data = 0x51};

class CrashKernel : public AssignedFixture {
 protected:
  void SetUp() override { open_driven(3); }

  /// Enumerates the device as Linux does: first the leftover MSI-X is turned off, then BAR 0 is
  /// sized and placed.
  void enumerate() {
    device->config_write(kMsixControl, 2, 0);
    device->config_write(kCommand, 2, 0x4);  // bus mastering is as it was
    device->config_write(kBar0, 4, UINT32_MAX);
    place(kElsewhere);
  }
  /// Masks all entries, and uses vector 0 with a message to another CPU.
  void start_crash_driver() {
    device->config_write(kMsixControl, 2, 0xc000);
    for (const unsigned vector : {0U, 1U, 2U}) mmio_write(kTable + 16 * vector + 12, 1);
    mmio_write(kTable, static_cast<uint32_t>(kNewMessage.address));
    mmio_write(kTable + 4, 0);
    mmio_write(kTable + 8, kNewMessage.data);
    mmio_write(kTable + 12, 0);
    enable_msix();
  }
};

TEST_F(CrashKernel, Case31InterruptsOfTheCrashedKernelEndWhenMsixIsTurnedOff) {
  EXPECT_EQ(hardware->fire(1), Fired::Delivered) << "nobody has stopped the device";
  host.delivered();
  enumerate();
  for (const unsigned vector : {0U, 1U, 2U}) hardware->fire(vector);
  EXPECT_THAT(host.delivered(), IsEmpty());
}

TEST_F(CrashKernel, Case31ItsDriverGetsItsOwnInterruptsAndNoOthers) {
  enumerate();
  start_crash_driver();
  host.delivered();
  EXPECT_EQ(hardware->fire(0), Fired::Delivered);
  EXPECT_THAT(host.delivered(), ElementsAre(kNewMessage));
  hardware->fire(1);
  EXPECT_THAT(host.delivered(), IsEmpty());
  EXPECT_EQ(mmio_read(kTable + 16 + 8), message_of(1).data)
      << "entries keep their values without a reset";
}

TEST_F(CrashKernel, Case31AnInterruptFromBetweenTheTwoKernelsDoesNotUseTheOldMessage) {
  enumerate();
  hardware->fire(0);
  start_crash_driver();
  for (const MsiMessage& message : host.delivered()) EXPECT_EQ(message, kNewMessage);
  EXPECT_EQ(hardware->fire(0), Fired::Delivered);
  EXPECT_THAT(host.delivered(), ElementsAre(kNewMessage));
}

TEST_F(CrashKernel, Case31TheDeviceStaysABusMasterUntilTheCrashKernelSaysOtherwise) {
  enumerate();
  EXPECT_NE(device->config_read(kCommand, 2) & 0x4, 0U);
  device->config_write(kCommand, 2, 0x2);
  EXPECT_EQ(device->config_read(kCommand, 2) & 0x4, 0U);
}

TEST_F(CrashKernel, Case31AResetOfTheRunningDeviceStopsItsInterrupts) {
  device->config_write(kDeviceControl, 2, 0x8000);  // reset_devices
  for (const unsigned vector : {0U, 1U, 2U}) hardware->fire(vector);
  EXPECT_THAT(host.delivered(), IsEmpty());
  EXPECT_EQ(host.routes(), 0U);
  enumerate();
  EXPECT_EQ(mmio_read(kTable + 16 + 12), 1U) << "masked, as after power-on";
  start_crash_driver();
  host.delivered();
  EXPECT_EQ(hardware->fire(0), Fired::Delivered);
  EXPECT_THAT(host.delivered(), ElementsAre(kNewMessage));
}

}  // namespace
}  // namespace passthru
