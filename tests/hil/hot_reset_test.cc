// SPDX-License-Identifier: MIT
// Tests of the reset of a bus on real VFIO, at an open and with the VM: two functions behind a
// bridge to conventional PCI, without a reset of their own. It needs two unused ehci of the
// emulator.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>

#include "device/assigned_device.h"
#include "tests/fakes/fake_hypervisor.h"
#include "tests/hil/borrowed_device.h"
#include "tests/hil/bound_devices.h"
#include "vfio/device.h"
#include "vfio/device_source.h"
#include "vfio/linux_kernel.h"

namespace passthru {
namespace {

using ::testing::HasSubstr;

constexpr uint64_t kWindow = 0xc000'0000;
constexpr uint32_t kConfigFlag = 0x40;  ///< CONFIGFLAG, in the operational registers

class BusWithoutResets : public ::testing::Test {
 protected:
  void SetUp() override {
    const auto found = functions_with(0x8086, 0x24cd);
    if (found.size() < devices.size()) GTEST_SKIP() << "needs two ehci (8086:24cd) on one bus";
    for (size_t i = 0; i < devices.size(); ++i) {
      auto taken = BorrowedDevice::borrow(found[i]);
      ASSERT_TRUE(taken) << taken.error().message();
      borrowed[i] = std::move(*taken);
    }
  }
  void open(size_t i) {
    const auto slot = static_cast<uint8_t>(i + 1);
    auto opened = AssignedDevice::open(
        domain, {.device = borrowed[i]->bdf(), .guest_address = {.device = slot}},
        {.backend = tested_backend()});
    ASSERT_TRUE(opened) << opened.error().message();
    devices[i] = std::move(*opened);
  }
  void TearDown() override {
    for (auto& device : devices) device.reset();
  }
  static uint64_t base(size_t i) { return kWindow + i * 0x10'0000; }
  void place(size_t i) {
    devices[i]->config_write(0x10, 4, static_cast<uint32_t>(base(i)));
    devices[i]->config_write(0x04, 2, 0x2);
  }
  uint32_t load(uint64_t address) {
    uint32_t value = 0;
    domain.mmio().read(address, std::as_writable_bytes(std::span{&value, 1}));
    return value;
  }
  /// Returns the address of CONFIGFLAG, which is 0 after a reset (EHCI 1.0, 2.3.8). The first byte
  /// in the BAR is the offset of the operational registers.
  uint64_t config_flag(size_t i) { return base(i) + (load(base(i)) & 0xff) + kConfigFlag; }
  void set_config_flag(size_t i) {
    const uint32_t one = 1;
    domain.mmio().write(config_flag(i), std::as_bytes(std::span{&one, 1}));
    ASSERT_EQ(load(config_flag(i)), 1U);
  }

  std::shared_ptr<LinuxKernel> kernel = std::make_shared<LinuxKernel>();
  FakeHypervisor host{*kernel};
  Domain domain{kernel, host};
  std::array<std::unique_ptr<BorrowedDevice>, 2> borrowed;
  std::array<std::unique_ptr<AssignedDevice>, 2> devices;
};

class HotReset : public BusWithoutResets {
 protected:
  void SetUp() override {
    BusWithoutResets::SetUp();
    for (size_t i = 0; i < devices.size() && !IsSkipped() && !HasFatalFailure(); ++i) {
      open(i);
      if (devices[i]) place(i);
    }
  }
};

TEST_F(BusWithoutResets, AnOpenResetsItWithAFunctionThatNoGuestUses) {
  auto door = resolve_device(*kernel, domain.sysfs(), borrowed[1]->bdf(),
                             {.backend = tested_backend()}, domain.dma().has_iommufd());
  ASSERT_TRUE(door) << door.error().message();
  const auto unused = VfioDevice::open(*kernel, domain.dma(), std::move(*door));
  ASSERT_TRUE(unused) << unused.error().message();
  VfioDevice& other = **unused;
  ASSERT_TRUE(other.turn_decode_on());
  uint8_t operational = 0;
  ASSERT_TRUE(other.read(Region::Bar0, 0, std::as_writable_bytes(std::span{&operational, 1})));
  const uint64_t flag = operational + uint64_t{kConfigFlag};
  uint32_t value = 1;
  ASSERT_TRUE(other.write(Region::Bar0, flag, std::as_bytes(std::span{&value, 1})));
  ASSERT_TRUE(other.read(Region::Bar0, flag, std::as_writable_bytes(std::span{&value, 1})));
  ASSERT_EQ(value, 1U);
  open(0);
  ASSERT_TRUE(other.turn_decode_on());
  ASSERT_TRUE(other.read(Region::Bar0, flag, std::as_writable_bytes(std::span{&value, 1})));
  EXPECT_EQ(value, 0U) << "the bus was not reset";
  EXPECT_TRUE(host.events.empty()) << host.events[0].detail;
}

TEST_F(HotReset, ResetsABusWithAllThatIsOnIt) {
  for (size_t i = 0; i < devices.size(); ++i) set_config_flag(i);
  const std::array<AssignedDevice*, 2> both = {devices[0].get(), devices[1].get()};
  const auto done = AssignedDevice::reset_together(both);
  ASSERT_TRUE(done) << done.error().message();
  for (size_t i = 0; i < devices.size(); ++i) {
    place(i);
    EXPECT_EQ(load(config_flag(i)), 0U) << "device " << i;
  }
}

TEST_F(HotReset, DoesNotResetOneUnderTheOther) {
  for (size_t i = 0; i < devices.size(); ++i) set_config_flag(i);
  const auto done = devices[0]->reset();
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().code, EPERM);
  EXPECT_THAT(done.error().message(), HasSubstr("also reset " + borrowed[1]->bdf().str()));
  EXPECT_EQ(load(config_flag(1)), 1U) << "the other device was reset";
}

}  // namespace
}  // namespace passthru
