// SPDX-License-Identifier: MIT
// Tests of the fake kernel and its devices beyond the contract with Linux: the hardware's side, the
// recorded calls, and injected failures.
#include "tests/fakes/fake_kernel.h"

#include <gtest/gtest.h>

#include <thread>

#include "vfio/device.h"

namespace passthru {
namespace {

class FakeKernelTest : public ::testing::Test {
 protected:
  void SetUp() override {
    for (Fd& eventfd : eventfds_) eventfd = std::move(*kernel_.make_eventfd());
    device_ = *VfioDevice::open(kernel_, dma_, nvme_.spec().door());
  }
  Result<void> bind(uint32_t start, std::vector<int> eventfds, Irq irq = Irq::Msix) {
    return device_->bind_irqs(irq, start, eventfds);
  }
  int fd(size_t index) const { return eventfds_[index].get(); }
  uint64_t drained(size_t index) { return *kernel_.drain_eventfd(fd(index)); }

  FakeKernel kernel_;
  FakeDevice& nvme_ = kernel_.add(FakeSpec::nvme());
  DmaSpace dma_{kernel_};
  std::array<Fd, 2> eventfds_;
  std::shared_ptr<VfioDevice> device_;
};

TEST_F(FakeKernelTest, AnInterruptSignalsTheEventfdBoundToItsVector) {
  ASSERT_TRUE(bind(0, {fd(0), fd(1)}));
  EXPECT_EQ(nvme_.fire(1), Fired::Delivered);
  EXPECT_EQ(drained(0), 0U);
  EXPECT_EQ(drained(1), 1U);
}

TEST_F(FakeKernelTest, AMaskedVectorIsPendingAndDeliveredOnceItIsBound) {
  ASSERT_TRUE(bind(0, {fd(0), -1}));
  EXPECT_EQ(nvme_.fire(1), Fired::Pending);
  EXPECT_EQ(nvme_.fire(1), Fired::Pending);
  EXPECT_TRUE(nvme_.pending(1));
  ASSERT_TRUE(bind(1, {fd(1)}));
  EXPECT_FALSE(nvme_.pending(1));
  EXPECT_EQ(drained(1), 1U);
}

TEST_F(FakeKernelTest, TheFunctionMaskHoldsInterruptsBack) {
  ASSERT_TRUE(bind(0, {fd(0)}));
  const uint16_t control = nvme_.msix_control();
  nvme_.set_msix_control(static_cast<uint16_t>(control | 0x4000));
  EXPECT_EQ(nvme_.fire(0), Fired::Pending);
  nvme_.set_msix_control(control);
  EXPECT_EQ(drained(0), 1U);
}

TEST_F(FakeKernelTest, AnInterruptWithoutMessageOrEnableIsLost) {
  EXPECT_EQ(nvme_.fire(0), Fired::Lost);
  ASSERT_TRUE(bind(0, {fd(0)}));
  nvme_.zero_table();
  EXPECT_EQ(nvme_.fire(0), Fired::Lost);
  EXPECT_EQ(nvme_.lost(), 2U);
  EXPECT_EQ(drained(0), 0U);
  ASSERT_TRUE(bind(0, {fd(0)}));
  EXPECT_EQ(nvme_.fire(0), Fired::Delivered);
}

TEST_F(FakeKernelTest, AfterABackdoorResetNothingFiresUntilTheIndexIsCycled) {
  ASSERT_TRUE(bind(0, {fd(0)}));
  nvme_.backdoor_reset();
  ASSERT_TRUE(bind(0, {fd(0)}));
  EXPECT_EQ(nvme_.entry(0), PhysicalEntry{}) << "without decode, the kernel's write is lost";
  const std::array<std::byte, 2> command{std::byte{6}, std::byte{0}};
  ASSERT_TRUE(device_->write(Region::Config, 4, command));
  ASSERT_TRUE(bind(0, {fd(0)}));
  EXPECT_EQ(nvme_.entry(0), nvme_.host_message(0));
  EXPECT_EQ(nvme_.fire(0), Fired::Lost);
  ASSERT_TRUE(device_->disable_irqs(Irq::Msix));
  ASSERT_TRUE(bind(0, {fd(0)}));
  EXPECT_EQ(nvme_.fire(0), Fired::Delivered);
}

TEST_F(FakeKernelTest, LevelInterruptsAreMaskedByTheKernelUntilUnmasked) {
  ASSERT_TRUE(bind(0, {fd(0)}, Irq::Intx));
  ASSERT_TRUE(device_->bind_unmask_eventfd(Irq::Intx, fd(1)));
  nvme_.set_intx(true);
  nvme_.set_intx(true);
  EXPECT_EQ(drained(0), 1U);
  ASSERT_TRUE(device_->act_on_irqs(Irq::Intx, IrqAction::Unmask, 0, 1));
  EXPECT_EQ(drained(0), 1U) << "the level is still asserted";
  nvme_.set_intx(false);
  ASSERT_TRUE(kernel_.signal_eventfd(fd(1)));
  EXPECT_EQ(drained(0), 0U);
  nvme_.set_intx(true);
  EXPECT_EQ(drained(0), 1U);
}

TEST_F(FakeKernelTest, ErrorsAndUnplugRequestsReachTheirEventfds) {
  ASSERT_TRUE(bind(0, {fd(0)}, Irq::Error));
  ASSERT_TRUE(bind(0, {fd(1)}, Irq::Request));
  nvme_.notify(Irq::Request);
  EXPECT_EQ(drained(0), 0U);
  EXPECT_EQ(drained(1), 1U);
}

TEST_F(FakeKernelTest, ASetIrqsThatFailsWhenAskedToUnbindsTheVectorsThatItNames) {
  kernel_.fail("VFIO_DEVICE_SET_IRQS", ENOSPC, 2);
  ASSERT_TRUE(bind(0, {fd(0), fd(1)}));
  EXPECT_EQ(bind(0, {fd(0)}).error().code, ENOSPC);
  EXPECT_FALSE(nvme_.bound(0));
  EXPECT_EQ(nvme_.fire(1), Fired::Delivered);
  EXPECT_EQ(drained(1), 1U) << "the other vector stays bound";
  EXPECT_TRUE(bind(0, {fd(0)}));
}

TEST_F(FakeKernelTest, AVectorThatIsRefusedFailsItsWholeCall) {
  nvme_.refuse(1, EBUSY);
  EXPECT_EQ(bind(0, {fd(0), fd(1)}).error().code, EBUSY);
  EXPECT_EQ(nvme_.allocated(), 0U);
  ASSERT_TRUE(bind(0, {fd(0), -1}));
  EXPECT_EQ(bind(1, {fd(1)}).error().code, EBUSY);
  EXPECT_TRUE(nvme_.bound(0));
  nvme_.refuse(1, 0);
  EXPECT_TRUE(bind(1, {fd(1)}));
}

TEST_F(FakeKernelTest, TheHookSeesEachCallBeforeAndAfterIt) {
  std::vector<std::string> seen;
  kernel_.hook.set([&](std::string_view call, bool after) {
    seen.push_back((after ? "after " : "before ") + std::string(call));
    if (!after) ignore(kernel_.drain_eventfd(fd(0)), "the hook does not run for its own call");
  });
  nvme_.set_pause([&] { seen.emplace_back("within"); });
  ASSERT_TRUE(bind(0, {fd(0), fd(1)}));
  kernel_.hook.set({});
  EXPECT_EQ(seen, (std::vector<std::string>{"before VFIO_DEVICE_SET_IRQS", "within", "within",
                                            "after VFIO_DEVICE_SET_IRQS"}));
}

TEST_F(FakeKernelTest, CallsAreRecordedWithTheirArguments) {
  kernel_.forget_calls();
  ASSERT_TRUE(bind(3, {fd(1), -1}));
  const auto calls = kernel_.calls("VFIO_DEVICE_SET_IRQS");
  ASSERT_EQ(calls.size(), 1U);
  EXPECT_EQ(calls[0].index, 2U);
  EXPECT_EQ(calls[0].start, 3U);
  EXPECT_EQ(calls[0].eventfds, (std::vector<int>{fd(1), -1}));
}

TEST_F(FakeKernelTest, WhatIsOpenIsCountedAndAnEndedDeviceIsReset) {
  EXPECT_EQ(kernel_.open_fds(), 5U) << "container, group, device, two eventfds";
  ASSERT_TRUE(bind(0, {fd(0)}));
  device_.reset();
  for (Fd& eventfd : eventfds_) eventfd.reset();
  EXPECT_TRUE(kernel_.nothing_leaked());
  EXPECT_FALSE(nvme_.bound(0));
  EXPECT_EQ(nvme_.resets(), 1U);
}

TEST_F(FakeKernelTest, FiringAndBindingMayMeetOnTwoThreads) {
  ASSERT_TRUE(bind(0, {fd(0)}));
  std::thread hardware([&] {
    for (int i = 0; i < 500; ++i) nvme_.fire(0);
  });
  for (int i = 0; i < 50; ++i) EXPECT_TRUE(bind(0, {fd(0)}));
  hardware.join();
  // Binding again masks the entry briefly; interrupts become pending and are delivered afterwards.
  EXPECT_EQ(nvme_.lost(), 0U);
  EXPECT_FALSE(nvme_.pending(0));
  EXPECT_GE(drained(0), 1U);
}

}  // namespace
}  // namespace passthru
