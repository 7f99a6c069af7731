// SPDX-License-Identifier: MIT
// A device in a guest's hands: the rooms put together, as a VMM meets them.
#include "host/assigned_device.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/fakes/fake_host.h"
#include "tests/fakes/fake_kernel.h"
#include "tests/fakes/sysfs_tree.h"

namespace passthru {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr uint32_t kCommand = 0x04;
constexpr uint32_t kBar0 = 0x10;
constexpr uint32_t kMsixControl = FakeCapability::kMsix + 2;
constexpr uint32_t kDeviceControl = FakeCapability::kExpress + 8;
constexpr uint64_t kWindow = 0xc000'0000;

class AssignedDeviceTest : public ::testing::Test {
 protected:
  AssignedDeviceTest() {
    sysfs.add({.bdf = "0000:00:02.0", .driver = "vfio-pci", .group = 2, .vfio_dev = true});
    nvme = &kernel->add(FakeSpec::nvme());
    domain = std::make_unique<Domain>(kernel, host, sysfs.sysfs());
  }

  Result<std::unique_ptr<AssignedDevice>> try_open() {
    return AssignedDevice::open(*domain,
                                {.device = Bdf{.device = 2}, .guest_address = {.device = 5}});
  }
  void open() {
    auto opened = try_open();
    ASSERT_TRUE(opened) << opened.error().message();
    device = std::move(*opened);
    kernel->forget_calls();
  }
  void assign_bar(uint64_t address = kWindow) {
    device->config_write(kBar0, 4, static_cast<uint32_t>(address));
    device->config_write(kBar0 + 4, 4, static_cast<uint32_t>(address >> 32));
    device->config_write(kCommand, 2, 0x6);
  }
  uint32_t mmio_read(uint64_t address) {
    uint32_t value = 0;
    domain->mmio().read(address, std::as_writable_bytes(std::span{&value, 1}));
    return value;
  }
  void mmio_write(uint64_t address, uint32_t value) {
    domain->mmio().write(address, std::as_bytes(std::span{&value, 1}));
  }
  void enable_vector(unsigned vector) {
    const uint64_t entry = kWindow + 0x2000 + vector * 16;
    mmio_write(entry, 0xfee0'0000);
    mmio_write(entry + 4, 0);
    mmio_write(entry + 8, 0x40 + vector);
    mmio_write(entry + 12, 0);
  }

  SysfsTree sysfs;
  std::shared_ptr<FakeKernel> kernel = std::make_shared<FakeKernel>();
  FakeHost host{*kernel};
  FakeDevice* nvme = nullptr;
  std::unique_ptr<Domain> domain;
  std::unique_ptr<AssignedDevice> device;
};

TEST_F(AssignedDeviceTest, ItsRegistersAreMappedAndItsTableIsNot) {
  open();
  EXPECT_THAT(host.mappings(), IsEmpty());
  assign_bar();
  ASSERT_EQ(host.mappings().size(), 1U);
  EXPECT_EQ(host.mappings()[0].address, kWindow);
  EXPECT_EQ(host.mappings()[0].size, 0x2000U) << "registers and doorbells, up to the table's page";
}

TEST_F(AssignedDeviceTest, AnInterruptTravelsFromTheDeviceToTheGuest) {
  open();
  assign_bar();
  device->config_write(kMsixControl, 2, 0x8000);
  enable_vector(1);
  EXPECT_EQ(nvme->fire(1), Fired::Delivered);
  EXPECT_THAT(host.delivered(), ElementsAre(MsiMessage{0xfee0'0000, 0x41}));
  const Inspection seen = device->inspect();
  EXPECT_EQ(seen.interrupt_mode, "MSI-X");
  ASSERT_EQ(seen.vectors.size(), 65U);
  EXPECT_EQ(seen.vectors[1].owner, "irqfd");
  EXPECT_EQ(seen.vectors[0].owner, "none");
}

TEST_F(AssignedDeviceTest, ControlWrittenByBytesOrAsADwordWorksLikeAWord) {
  open();
  assign_bar();
  enable_vector(0);
  device->config_write(kMsixControl + 1, 1, 0x80);
  EXPECT_EQ(host.armed(), 1U);
  device->config_write(kMsixControl + 1, 1, 0xc0);
  EXPECT_EQ(host.armed(), 0U);
  EXPECT_EQ(device->config_read(kMsixControl, 2) & 0xc000, 0xc000U) << "function mask reads back";
  device->config_write(FakeCapability::kMsix, 4, 0x8000'0000);
  EXPECT_EQ(host.armed(), 1U);
}

TEST_F(AssignedDeviceTest, TheTableReadsWhatTheGuestWroteAndTheDeviceKeepsItsOwn) {
  open();
  assign_bar();
  device->config_write(kMsixControl, 2, 0x8000);
  enable_vector(2);
  EXPECT_EQ(mmio_read(kWindow + 0x2000 + 2 * 16 + 8), 0x42U);
  EXPECT_EQ(nvme->entry(2), nvme->host_message(2));
}

TEST_F(AssignedDeviceTest, MemoryDecodeOffTakesTheBarAway) {
  open();
  assign_bar();
  device->config_write(kCommand, 2, 0x4);
  EXPECT_THAT(host.mappings(), IsEmpty());
  EXPECT_EQ(mmio_read(kWindow + 0x2000), 0xffff'ffffU);
  device->config_write(kCommand, 2, 0x6);
  EXPECT_EQ(host.mappings().size(), 1U);
}

TEST_F(AssignedDeviceTest, AMappingThatTheVmmRefusesLeavesTheRegisterAndTheOldPlace) {
  open();
  assign_bar();
  host.fail_next("map", ENOSPC);
  device->config_write(kBar0, 4, 0xd000'0000);
  EXPECT_EQ(device->config_read(kBar0, 4) & ~0xfU, kWindow);
  ASSERT_EQ(host.mappings().size(), 1U);
  EXPECT_EQ(host.mappings()[0].address, kWindow);
  ASSERT_EQ(host.events.size(), 1U);
  EXPECT_EQ(host.events[0].kind, Event::Kind::BarRefused);
}

TEST_F(AssignedDeviceTest, AFunctionLevelResetLeavesWhatHardwareWould) {
  open();
  assign_bar();
  device->config_write(kMsixControl, 2, 0x8000);
  enable_vector(0);
  const unsigned resets = nvme->resets();
  device->config_write(kDeviceControl, 2, 0x8000);
  EXPECT_EQ(nvme->resets(), resets + 1);
  EXPECT_EQ(device->config_read(kCommand, 2) & 0x7, 0U);
  EXPECT_EQ(device->config_read(kBar0, 4) & ~0xfU, 0U);
  EXPECT_EQ(device->config_read(kMsixControl, 2) & 0xc000, 0U);
  EXPECT_EQ(host.routes(), 0U);
  EXPECT_THAT(host.mappings(), IsEmpty());
  assign_bar();
  EXPECT_EQ(mmio_read(kWindow + 0x2000 + 12), 1U) << "masked again";
  device->config_write(kMsixControl, 2, 0x8000);
  enable_vector(0);
  EXPECT_EQ(nvme->fire(0), Fired::Delivered);
}

TEST_F(AssignedDeviceTest, IntxIsThereUntilMsixIsEnabledAndComesBack) {
  open();
  EXPECT_TRUE(host.intx_armed());
  assign_bar();
  nvme->set_intx(true);
  EXPECT_TRUE(host.intx_delivered());
  EXPECT_FALSE(host.intx_delivered()) << "masked until the guest's end of interrupt";
  host.end_of_intx();
  EXPECT_TRUE(host.intx_delivered()) << "still asserted";
  device->config_write(kMsixControl, 2, 0x8000);
  EXPECT_FALSE(host.intx_armed());
  enable_vector(0);
  EXPECT_EQ(nvme->fire(0), Fired::Delivered);
  device->config_write(kMsixControl, 2, 0);
  EXPECT_TRUE(host.intx_armed());
  EXPECT_TRUE(host.intx_delivered()) << "a level that was asserted meanwhile";
}

TEST_F(AssignedDeviceTest, AnIntxThatTheVmmCannotDeliverIsReportedAndNothingElseFails) {
  host.fail_next("arm_intx", ENOTSUP);
  open();
  ASSERT_EQ(host.events.size(), 1U);
  EXPECT_THAT(host.events[0].detail, HasSubstr("INTx"));
}

TEST_F(AssignedDeviceTest, AResetBehindItsBackIsHealedOnRearm) {
  open();
  assign_bar();
  device->config_write(kMsixControl, 2, 0x8000);
  enable_vector(0);
  nvme->backdoor_reset();
  EXPECT_EQ(*device->rearm(), 1U);
  EXPECT_EQ(nvme->fire(0), Fired::Delivered);
}

TEST_F(AssignedDeviceTest, DetachingLeavesNothingAndADeviceThatWasReset) {
  open();
  assign_bar();
  device->config_write(kMsixControl, 2, 0x8000);
  enable_vector(0);
  const unsigned resets = nvme->resets();
  device.reset();
  EXPECT_TRUE(kernel->nothing_leaked());
  EXPECT_GT(nvme->resets(), resets);
  EXPECT_EQ(host.routes(), 0U);
  EXPECT_THAT(host.mappings(), IsEmpty());
  EXPECT_EQ(mmio_read(kWindow + 0x2000), 0xffff'ffffU);
  open();
  assign_bar();
  EXPECT_EQ(host.mappings().size(), 1U) << "the next user finds it as new";
}

TEST_F(AssignedDeviceTest, OpeningThatFailsAtAnyCallLeaksNothingAndNamesTheDevice) {
  unsigned failures = 0;
  for (unsigned nth = 1;; ++nth) {
    SCOPED_TRACE(nth);
    kernel->forget_calls();
    kernel->fail("*", EIO, nth);
    auto opened = try_open();
    if (kernel->calls().size() < nth) break;  // it never came to the nth call
    if (!opened) {
      ++failures;
      EXPECT_THAT(opened.error().message(), HasSubstr("0000:00:02.0"));
      EXPECT_TRUE(kernel->nothing_leaked());
    }
  }
  EXPECT_GT(failures, 10U);
}

TEST_F(AssignedDeviceTest, ADeviceOfTheHostIsNotOpened) {
  sysfs.add({.bdf = "0000:00:03.0", .driver = "e1000e", .group = 3});
  auto opened = AssignedDevice::open(*domain, {.device = Bdf{.device = 3}});
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().code, ENODEV);
  EXPECT_THAT(opened.error().message(), HasSubstr("passthru bind 0000:00:03.0"));
}

}  // namespace
}  // namespace passthru
