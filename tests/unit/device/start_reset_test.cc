// SPDX-License-Identifier: MIT
// Tests of the reset at an open. A device without a reset of its own is reset with its bus, if the
// VM owns all functions there and its guest uses none of them.
#include <gmock/gmock.h>

#include <array>
#include <atomic>
#include <thread>

#include "tests/unit/device/assigned_fixture.h"

namespace passthru {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

constexpr const char* kHotReset = "VFIO_DEVICE_PCI_HOT_RESET";

class StartResetTest : public VmFixture {
 protected:
  static FakeSpec without_reset(Bdf bdf, uint32_t group) {
    FakeSpec spec = FakeSpec::nvme(bdf, group);
    spec.resets = false;
    return spec;
  }
  static FakeSpec gpu(uint32_t group = 10) { return without_reset({.bus = 1}, group); }
  static FakeSpec sound(uint32_t group = 10) {
    return without_reset({.bus = 1, .function = 1}, group);
  }
  static FakeSpec alone() { return without_reset({.bus = 2}, 20); }

  Result<std::unique_ptr<AssignedDevice>> try_open(const FakeDevice& hardware) {
    const Bdf bdf = hardware.spec().bdf;
    return AssignedDevice::open(
        domain, {.device = bdf, .guest_address = {.device = 5, .function = bdf.function}});
  }
  std::unique_ptr<AssignedDevice> open(const FakeDevice& hardware) {
    auto opened = try_open(hardware);
    EXPECT_TRUE(opened) << opened.error().message();
    return opened ? std::move(*opened) : nullptr;
  }
  /// Expects that the last event says why the device was not reset.
  void expect_limit(const FakeDevice& hardware, const std::string& reason) {
    ASSERT_FALSE(host.events.empty());
    EXPECT_EQ(host.events.back().kind, Event::Kind::DeviceLimited);
    EXPECT_EQ(host.events.back().device, hardware.spec().bdf);
    EXPECT_THAT(host.events.back().detail,
                AllOf(HasSubstr("it was not reset: "), HasSubstr(reason),
                      HasSubstr("the state that the device's last user left")));
  }

  alignas(4096) static inline std::array<std::byte, 4096> memory_{};
};

TEST_F(StartResetTest, ADeviceIsResetWithAnUnusedFunctionOfItsGroup) {
  FakeDevice& first = plug(gpu());
  FakeDevice& second = plug(sound());
  const auto device = open(first);
  EXPECT_EQ(first.resets(), 1U);
  EXPECT_EQ(second.resets(), 1U);
  EXPECT_THAT(kernel->calls(kHotReset), SizeIs(1));
  EXPECT_THAT(host.events, IsEmpty());
}

TEST_F(StartResetTest, TheLastOfSeveralGroupsResetsAllThatTheGuestHasNotUsed) {
  FakeDevice& first = plug(gpu(10));
  FakeDevice& second = plug(sound(11));
  const auto a = open(first);
  EXPECT_EQ(first.resets(), 0U);
  EXPECT_THAT(host.events, SizeIs(1));
  expect_limit(first, "would also reset 0000:01:00.1");
  EXPECT_THAT(kernel->calls(kHotReset), IsEmpty());
  const auto b = open(second);
  EXPECT_EQ(first.resets(), 1U);
  EXPECT_EQ(second.resets(), 1U);
  EXPECT_THAT(host.events, SizeIs(1)) << "nothing to report";
  EXPECT_NE(a->config_read(0, 4), UINT32_MAX) << "the first device answers again";
}

TEST_F(StartResetTest, ADeviceThatTheGuestUsesIsNotReset) {
  FakeDevice& first = plug(gpu());
  FakeDevice& second = plug(sound());
  const auto a = open(first);
  a->config_read(0, 4);
  const auto b = open(second);
  EXPECT_EQ(first.resets(), 1U) << "at its own open";
  EXPECT_EQ(second.resets(), 1U) << "then too";
  EXPECT_THAT(host.events, SizeIs(1));
  expect_limit(second, "would also reset 0000:01:00.0, which this VM uses");
}

TEST_F(StartResetTest, ADetachedDeviceIsInNobodysWay) {
  FakeDevice& first = plug(gpu());
  FakeDevice& second = plug(sound());
  const auto a = open(first);
  a->config_read(0, 4);
  a->detach();
  const auto b = open(second);
  EXPECT_EQ(second.resets(), 2U);
  EXPECT_THAT(host.events, IsEmpty());
}

TEST_F(StartResetTest, AFunctionThatIsNotOnVfioIsNamed) {
  FakeDevice& first = plug(gpu());
  FakeSpec other = sound();
  other.on_vfio = false;
  sysfs.add({.bdf = "0000:01:00.1", .group = other.group});
  FakeDevice& second = kernel->add(other);
  const auto device = open(first);
  EXPECT_EQ(first.resets() + second.resets(), 0U);
  EXPECT_THAT(host.events, SizeIs(1));
  expect_limit(first, "would also reset 0000:01:00.1, which has no driver");
  EXPECT_THAT(host.events.back().detail, HasSubstr("passthru bind 0000:01:00.1"));
}

TEST_F(StartResetTest, ADeviceThatNothingResetsIsOpenedAndReported) {
  FakeDevice& stuck = plug(without_reset({.device = 9}, 9));
  const auto device = open(stuck);
  EXPECT_THAT(host.events, SizeIs(1));
  expect_limit(stuck, "neither the device nor its slot or bus has a reset");
}

TEST_F(StartResetTest, AKernelThatRefusesTheResetOfTheBusIsReported) {
  FakeDevice& hardware = plug(alone());
  kernel->fail(kHotReset, EINVAL);
  const auto device = open(hardware);
  EXPECT_EQ(hardware.resets(), 0U);
  EXPECT_THAT(host.events, SizeIs(1));
  expect_limit(hardware, "VFIO does not have all devices of its slot or bus");
}

TEST_F(StartResetTest, ADeviceThatLostItsOwnResetIsResetWithItsBus) {
  FakeDevice& hardware = plug(FakeSpec::nvme({.bus = 2}, 20));
  for (const int code : {ENOTTY, EINVAL}) {
    ASSERT_TRUE(kernel->nothing_leaked()) << "the kernel has closed and reset it";
    const unsigned before = hardware.resets();
    kernel->forget_calls();
    kernel->fail("VFIO_DEVICE_RESET", code);
    const auto device = open(hardware);
    EXPECT_EQ(hardware.resets(), before + 1) << code;
    EXPECT_THAT(kernel->calls(kHotReset), SizeIs(1)) << code;
  }
  EXPECT_THAT(host.events, IsEmpty());
}

TEST_F(StartResetTest, ABusThatIsBusyForAMomentIsWaitedFor) {
  FakeDevice& hardware = plug(alone());
  hardware.set_busy_resets(3);
  EXPECT_TRUE(try_open(hardware));
  EXPECT_EQ(hardware.resets(), 1U);
  EXPECT_THAT(kernel->calls(kHotReset), SizeIs(4));
  kernel->forget_calls();
  kernel->fail(kHotReset, EBUSY);
  EXPECT_TRUE(try_open(hardware));
  EXPECT_EQ(hardware.resets(), 2U);
  EXPECT_THAT(kernel->calls(kHotReset), SizeIs(2));
  EXPECT_THAT(host.events, IsEmpty());
}

TEST_F(StartResetTest, ABusThatStaysBusyOrFailsRefusesTheOpen) {
  FakeDevice& hardware = plug(alone());
  hardware.set_busy_resets(UINT32_MAX);
  EXPECT_EQ(try_open(hardware).error().code, EAGAIN);
  hardware.set_busy_resets(0);
  kernel->fail(kHotReset, EIO);
  EXPECT_EQ(try_open(hardware).error().code, EIO);
  EXPECT_TRUE(kernel->nothing_leaked());
}

TEST_F(StartResetTest, MemoryIsAddedWhileABusIsReset) {
  FakeDevice& hardware = plug(alone());
  std::atomic<bool> added{false};
  bool during = false;
  std::thread other;
  hardware.set_reset_pause([&] {
    other = std::thread([&] { added = domain.add_memory(0, memory_).has_value(); });
    during = eventually([&] { return added.load(); });
  });
  const auto device = open(hardware);
  ASSERT_TRUE(other.joinable()) << "the bus was not reset";
  other.join();
  EXPECT_TRUE(during);
}

TEST_F(StartResetTest, TheVcpuOfADeviceThatIsResetTooDoesNotWait) {
  FakeDevice& first = plug(gpu(10));
  FakeDevice& second = plug(sound(11));
  const auto a = open(first);
  std::atomic<uint32_t> read{0};
  bool during = false;
  std::thread vcpu;
  second.set_reset_pause([&] {
    vcpu = std::thread([&] { read = a->config_read(0, 4); });
    during = eventually([&] { return read.load() != 0; });
  });
  const auto b = open(second);
  ASSERT_TRUE(vcpu.joinable()) << "the bus was not reset";
  vcpu.join();
  EXPECT_TRUE(during);
  EXPECT_EQ(read.load(), UINT32_MAX) << "the function does not answer in a reset";
  EXPECT_NE(a->config_read(0, 4), UINT32_MAX);
}

}  // namespace
}  // namespace passthru
