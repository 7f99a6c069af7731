// SPDX-License-Identifier: MIT
// Tests of a VM reset. Each device gets its smallest reset. A device without one is reset with its
// slot or bus, if the VM owns all devices there.
#include <gmock/gmock.h>

#include <array>
#include <cerrno>
#include <string_view>

#include "tests/unit/device/assigned_fixture.h"

namespace passthru {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;

class VmResetTest : public VmFixture {
 protected:
  /// Adds a device on bus 1, in its own group, without a reset of its own.
  FakeDevice& plug_beside(uint8_t slot) {
    FakeSpec spec = FakeSpec::nvme({.bus = 1, .device = slot}, 10U + slot);
    spec.resets = false;
    return plug(spec);
  }
  std::unique_ptr<AssignedDevice> open(const FakeDevice& hardware) {
    const Bdf bdf = hardware.spec().bdf;
    const auto slot = static_cast<uint8_t>(bdf.bus * 10 + bdf.device + 1);
    auto opened = AssignedDevice::open(domain, {.device = bdf, .guest_address = {.device = slot}});
    EXPECT_TRUE(opened) << opened.error().message();
    (*opened)->config_write(kBar0, 4, static_cast<uint32_t>(kWindow));
    (*opened)->config_write(kCommand, 2, 0x2);
    kernel->forget_calls();
    return std::move(*opened);
  }
  static Result<void> reset(std::vector<AssignedDevice*> devices) {
    return AssignedDevice::reset_together(devices);
  }

  FakeDevice& own = plug(FakeSpec::nvme());
  FakeDevice& left = plug_beside(0);
  FakeDevice& right = plug_beside(1);
};

TEST_F(VmResetTest, ABusIsResetOnceForAllThatAreOnIt) {
  const auto a = open(own);
  const auto b = open(left);
  const auto c = open(right);
  const unsigned before = own.resets();
  const auto done = reset({a.get(), b.get(), c.get()});
  ASSERT_TRUE(done) << done.error().message();
  EXPECT_EQ(own.resets(), before + 1) << "its own reset was used";
  EXPECT_EQ(left.resets(), 1U);
  EXPECT_EQ(right.resets(), 1U);
  EXPECT_EQ(kernel->calls("VFIO_DEVICE_PCI_HOT_RESET").size(), 1U);
  for (const auto* device : {a.get(), b.get(), c.get()}) {
    EXPECT_EQ(device->inspect().resets.vm, 1U);
    EXPECT_FALSE(device->inspect().bars[0].decoded);
  }
  EXPECT_THAT(host.mappings(), IsEmpty());
}

TEST_F(VmResetTest, NobodyElsesDeviceIsResetWithIt) {
  const auto b = open(left);
  const auto done = b->reset();
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().code, EPERM);
  EXPECT_THAT(done.error().message(), HasSubstr("0000:01:00.0"));
  EXPECT_THAT(done.error().message(), HasSubstr("also reset 0000:01:01.0"));
  EXPECT_EQ(left.resets() + right.resets(), 0U);
  EXPECT_FALSE(b->inspect().bars[0].decoded) << "the guest's view is reset even so";
}

TEST_F(VmResetTest, NorOneThatTheVmHasAndDoesNotResetNow) {
  const auto b = open(left);
  const auto c = open(right);
  EXPECT_FALSE(b->reset());
  EXPECT_EQ(right.resets(), 0U);
  EXPECT_TRUE(c->inspect().bars[0].decoded) << "the other device is unchanged";
}

TEST_F(VmResetTest, ADeviceAloneOnItsBusIsResetWithIt) {
  FakeSpec spec = FakeSpec::nvme({.bus = 2}, 20);
  spec.resets = false;
  FakeDevice& alone = plug(spec);
  const auto device = open(alone);
  EXPECT_EQ(alone.resets(), 1U) << "at its open";
  EXPECT_TRUE(device->reset());
  EXPECT_EQ(alone.resets(), 2U);
}

TEST_F(VmResetTest, AnUnusedFunctionOfAnOwnedGroupIsResetToo) {
  FakeSpec spec = FakeSpec::nvme({.bus = 2}, 20);
  spec.resets = false;
  FakeDevice& used = plug(spec);
  spec.bdf.function = 1;
  FakeDevice& unused = plug(spec);
  const auto device = open(used);
  const auto done = device->reset();
  EXPECT_TRUE(done) << done.error().message();
  EXPECT_EQ(used.resets(), 2U);
  EXPECT_EQ(unused.resets(), 2U);
}

TEST_F(VmResetTest, WhatNothingResetsIsNamed) {
  FakeSpec spec = FakeSpec::nvme({.device = 9}, 9);
  spec.resets = false;
  FakeDevice& stuck = plug(spec);
  const auto device = open(stuck);
  const auto other = open(own);
  const auto done = reset({device.get(), other.get()});
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().code, ENODEV);
  EXPECT_THAT(done.error().message(), HasSubstr("0000:00:09.0"));
  EXPECT_EQ(other->inspect().resets.vm, 1U) << "the other devices are reset";
  EXPECT_FALSE(kernel->calls("VFIO_DEVICE_RESET").empty());
}

TEST_F(VmResetTest, DetachedDevicesArePassedOver) {
  const auto a = open(own);
  const auto b = open(left);
  b->detach();
  EXPECT_TRUE(reset({a.get(), b.get()}));
  EXPECT_EQ(b->inspect().resets.vm, 0U);
}

// The reset of a bus also takes the config space of the other devices there away.
TEST_F(VmResetTest, AnAuditMeanwhileTakesNoDeviceForSilent) {
  const auto b = open(left);
  const auto c = open(right);
  host.events.clear();
  bool audited = false;
  kernel->hook.set([&](std::string_view call, bool after) {
    if (call != "VFIO_DEVICE_PCI_HOT_RESET" || after) return;
    right.set_gone(true);
    EXPECT_EQ(c->check_health(), 0U);
    right.set_gone(false);
    audited = true;
  });
  EXPECT_TRUE(reset({b.get(), c.get()}));
  kernel->hook.set({});
  EXPECT_TRUE(audited);
  EXPECT_EQ(host.events.size(), 0U);
  EXPECT_EQ(c->check_health(), 0U) << "afterwards it is audited again";
  EXPECT_EQ(c->inspect().audits, 1U);
}

TEST_F(VmResetTest, NoStateIsSavedMeanwhile) {
  const auto b = open(left);
  const auto c = open(right);
  kernel->hook.set([&](std::string_view call, bool after) {
    if (call != "VFIO_DEVICE_PCI_HOT_RESET" || after) return;
    EXPECT_EQ(c->save_state().error().code, EBUSY);
  });
  EXPECT_TRUE(reset({b.get(), c.get()}));
  kernel->hook.set({});
  EXPECT_EQ(kernel->calls("VFIO_DEVICE_PCI_HOT_RESET").size(), 1U);
  EXPECT_TRUE(c->save_state());
}

TEST_F(VmResetTest, AFailedBusResetLeavesDevicesThatWork) {
  const auto b = open(left);
  const auto c = open(right);
  kernel->fail("VFIO_DEVICE_PCI_HOT_RESET", EIO);
  const auto done = reset({b.get(), c.get()});
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().code, EIO);
  b->config_write(kBar0, 4, static_cast<uint32_t>(kElsewhere));
  b->config_write(kCommand, 2, 0x2);
  EXPECT_TRUE(mapped(kElsewhere));
  EXPECT_TRUE(reset({b.get(), c.get()}));
}

}  // namespace
}  // namespace passthru
