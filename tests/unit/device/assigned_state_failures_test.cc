// SPDX-License-Identifier: MIT
// Tests of a device that waits for its state: it stays as it was if a state is bad, if the kernel
// or the VMM refuses a call, and if the VMM gives up.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cerrno>
#include <functional>
#include <span>

#include "device/device_state.h"
#include "tests/unit/device/handover_fixture.h"

namespace passthru {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;
using ::testing::UnorderedElementsAre;

class WaitingDevice : public HandoverFixture {
 protected:
  /// The first VMM's guest uses two vectors; the second VMM waits for the state.
  void start_waiting(const FakeSpec& spec = FakeSpec::nvme(), uint64_t table = kWindow + 0x2000) {
    open_first(spec);
    place(kWindow);
    enable_msix();
    enable_vector(0, table);
    enable_vector(1, table);
    state_ = save();
    open_next();
    kernel->forget_calls();
  }
  /// Expects that the guest finds nothing and that the device was not touched.
  void expect_waiting() {
    EXPECT_EQ(next->config_read(0, 4), UINT32_MAX);
    EXPECT_THAT(next_host.mappings(), IsEmpty());
    EXPECT_EQ(next_host.armed(), 0U);
    EXPECT_EQ(next_host.routes(), 0U);
    EXPECT_THAT(kernel->calls("VFIO_DEVICE_SET_IRQS"), IsEmpty());
    EXPECT_THAT(kernel->calls("VFIO_DEVICE_RESET"), IsEmpty());
    EXPECT_THAT(kernel->calls("pwrite"), IsEmpty());
  }
  /// Expects that the good state still works.
  void expect_goes_on() {
    const auto loaded = next->load_state(state_);
    ASSERT_TRUE(loaded) << loaded.error().message();
    EXPECT_THAT(next_host.delivered(), UnorderedElementsAre(message_of(0), message_of(1)));
    EXPECT_EQ(hardware->fire(1), Fired::Delivered);
    EXPECT_THAT(next_host.delivered(), ElementsAre(message_of(1)));
  }
  Result<void> load_changed(const std::function<void(DeviceState&)>& change) {
    DeviceState changed = decode(state_).value();
    change(changed);
    return next->load_state(encode(changed));
  }

  std::string state_;
};

INSTANTIATE_TEST_SUITE_P(Backends, WaitingDevice, testing::Values(Backend::Group, Backend::Cdev),
                         name_of_backend);

TEST_P(WaitingDevice, TheGuestFindsAnEmptySlotAndReachesNothing) {
  start_waiting();
  ASSERT_FALSE(HasFatalFailure());
  next->config_write(kCommand, 2, 0x6);
  next->config_write(kBar0, 4, kWindow);
  next->config_write(kMsixControl, 2, 0x8000);
  EXPECT_EQ(*next->check_health(), 0U);
  next->handle_events();
  next->retranslate();
  EXPECT_EQ(next->trigger(0).error().code, EINVAL);
  const uint32_t unmasked = 0;
  next->bar_write(0, 0x2000 + 12, std::as_bytes(std::span{&unmasked, 1}));
  uint32_t data = 0;
  next->bar_read(0, 0x2000 + 8, std::as_writable_bytes(std::span{&data, 1}));
  EXPECT_EQ(data, UINT32_MAX);
  expect_waiting();
  expect_goes_on();
  next->bar_read(0, 0x2000 + 8, std::as_writable_bytes(std::span{&data, 1}));
  EXPECT_EQ(data, message_of(0).data);
}

TEST_P(WaitingDevice, NoTruncatedStateIsLoaded) {
  start_waiting(FakeSpec::xhci({0, 0, 2, 0}, 2), kWindow + 0x3000);
  ASSERT_FALSE(HasFatalFailure());
  for (size_t size = 0; size < state_.size(); ++size) {
    ASSERT_FALSE(next->load_state(std::string_view(state_).substr(0, size))) << size;
  }
  expect_waiting();
  expect_goes_on();
}

TEST_P(WaitingDevice, AModifiedByteIsRefusedOrIsAnotherStateThatAGuestCouldMake) {
  start_waiting(FakeSpec::xhci({0, 0, 2, 0}, 2), kWindow + 0x3000);
  ASSERT_FALSE(HasFatalFailure());
  const size_t config = state_.find("CONF") + 8;
  const size_t vectors = state_.find("MSIX") + 8 + 28;
  unsigned refused = 0;
  for (size_t at = 0; at < state_.size(); ++at) {
    // The other bytes of config space and the other vectors are like these.
    if (at > config + 64 && at < config + 4096) continue;
    if (at > vectors + 64) break;
    SCOPED_TRACE(at);
    std::string modified = state_;
    modified[at] = static_cast<char>(~modified[at]);
    kernel->forget_calls();
    if (!next->load_state(modified)) {
      ++refused;
      expect_waiting();
      continue;
    }
    next.reset();
    open_next();
    ASSERT_FALSE(HasFatalFailure());
  }
  EXPECT_GT(refused, 100U);
}

TEST_P(WaitingDevice, AStateOfAnotherDeviceIsRefused) {
  start_waiting();
  ASSERT_FALSE(HasFatalFailure());
  const auto refused = load_changed([](DeviceState& state) { state.shape.device = 0x1234; });
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, EINVAL);
  EXPECT_THAT(refused.error().message(), HasSubstr("0000:00:02.0"));
  EXPECT_THAT(refused.error().message(), HasSubstr("1b36:1234"));
  EXPECT_FALSE(load_changed([](DeviceState& state) { state.shape.bars[0].size *= 2; }));
  EXPECT_FALSE(load_changed([](DeviceState& state) { state.shape.msi = true; }));
  expect_waiting();
  expect_goes_on();
}

TEST_P(WaitingDevice, APowerStateThatTheDeviceDoesNotHaveIsRefused) {
  start_waiting();
  ASSERT_FALSE(HasFatalFailure());
  const auto refused = load_changed(
      [](DeviceState& state) { state.config[FakeCapability::kPowerManagement + 4] = 1; });
  ASSERT_FALSE(refused);
  EXPECT_THAT(refused.error().message(), HasSubstr("D1"));
  expect_waiting();
  expect_goes_on();
}

TEST_P(WaitingDevice, BitsThatAGuestCannotWriteAreNotLoaded) {
  start_waiting();
  ASSERT_FALSE(HasFatalFailure());
  ASSERT_TRUE(load_changed([](DeviceState& state) {
    state.config[0x34] = 0xff;           // the head of the capabilities
    state.config[0x10] |= 0x0f;          // the type of BAR 0
    state.config[kMsixControl] = 0xff;   // the size of the table
    state.config[kMsixControl + 2] = 7;  // the place of the table
  }));
  EXPECT_EQ(next->config_read(0x34, 1), FakeCapability::kPowerManagement);
  EXPECT_EQ(next->config_read(kBar0, 4) & 0xf, 0x4U);
  EXPECT_EQ(next->config_read(kMsixControl, 2), 0x8000U | 64);
  EXPECT_EQ(next->config_read(kMsixControl + 2, 4), 0x2000U);
}

TEST_P(WaitingDevice, MoreVectorsThanTheKernelHasAreTakenOverAllTheSame) {
  start_waiting();
  ASSERT_FALSE(HasFatalFailure());
  ASSERT_TRUE(load_changed([](DeviceState& state) { state.interrupts.msix.allocated = 65; }));
  EXPECT_THAT(next_host.delivered(), UnorderedElementsAre(message_of(0), message_of(1)));
  EXPECT_EQ(hardware->fire(0), Fired::Delivered);
}

TEST_P(WaitingDevice, AMappingThatTheVmmRefusesLeavesItWaiting) {
  start_waiting();
  ASSERT_FALSE(HasFatalFailure());
  next_host.fail_next("map", ENOSPC);
  const auto refused = next->load_state(state_);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ENOSPC);
  expect_waiting();
  expect_goes_on();
}

TEST_P(WaitingDevice, AnEventInterruptThatTheKernelRefusesLeavesItWaiting) {
  start_waiting();
  ASSERT_FALSE(HasFatalFailure());
  for (const unsigned nth : {1U, 2U}) {
    kernel->fail("VFIO_DEVICE_SET_IRQS", EIO, nth);
    EXPECT_EQ(next->load_state(state_).error().code, EIO);
    kernel->forget_calls();
    expect_waiting();
  }
  expect_goes_on();
}

TEST_P(WaitingDevice, AVectorThatTheKernelRefusesOnceIsLiveAllTheSame) {
  start_waiting();
  ASSERT_FALSE(HasFatalFailure());
  kernel->fail("VFIO_DEVICE_SET_IRQS", EIO, 3);  // after the two event interrupts
  ASSERT_TRUE(next->load_state(state_));
  EXPECT_THAT(next_host.delivered(), UnorderedElementsAre(message_of(0), message_of(1)));
  EXPECT_EQ(hardware->fire(0), Fired::Delivered);
}

TEST_P(WaitingDevice, OnlyAWaitingDeviceTakesAState) {
  start_waiting();
  ASSERT_FALSE(HasFatalFailure());
  EXPECT_EQ(next->save_state().error().code, EINVAL) << "it has no state yet";
  expect_goes_on();
  EXPECT_EQ(next->load_state(state_).error().code, EINVAL) << "it goes on already";
  next->detach();
  EXPECT_EQ(next->load_state(state_).error().code, ENODEV);
  EXPECT_EQ(next->descriptors().error().code, ENODEV);
}

TEST_P(WaitingDevice, ADeviceThatWasResetTakesNoState) {
  open_first(FakeSpec::nvme());
  start_driver(1);
  EXPECT_EQ(device->load_state("").error().code, EINVAL);
  EXPECT_EQ(hardware->fire(0), Fired::Delivered);
}

TEST_P(WaitingDevice, IfTheNextVmmGivesUpAnotherGoesOn) {
  start_waiting();
  ASSERT_FALSE(HasFatalFailure());
  const unsigned resets = hardware->resets();
  next.reset();
  EXPECT_EQ(hardware->resets(), resets);
  EXPECT_THAT(kernel->calls("VFIO_DEVICE_SET_IRQS"), IsEmpty());
  open_next();
  ASSERT_FALSE(HasFatalFailure());
  expect_goes_on();
}

TEST_P(WaitingDevice, AResetOfTheVmStartsTheDeviceAfresh) {
  start_waiting();
  ASSERT_FALSE(HasFatalFailure());
  const unsigned resets = hardware->resets();
  const auto done = next->reset();
  ASSERT_TRUE(done) << done.error().message();
  EXPECT_EQ(hardware->resets(), resets + 1);
  EXPECT_EQ(hardware->allocated(), 0U) << "what the first process left is unbound";
  EXPECT_EQ(next->config_read(kCommand, 2) & 0x7, 0U);
  EXPECT_TRUE(next_host.intx_armed());
  hardware->notify(Irq::Error);
  next->handle_events();
  EXPECT_THAT(next_host.events, SizeIs(1));
  EXPECT_EQ(next->load_state(state_).error().code, EINVAL);
}

TEST_P(WaitingDevice, WithoutTheOtherProcesssDescriptorsNothingIsOpened) {
  open_first(FakeSpec::nvme());
  const auto refused = try_next({}, {});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, EINVAL);
  EXPECT_THAT(refused.error().message(), HasSubstr("handed over"));

  // The device's or the group's descriptor, without the iommufd or the container.
  const DeviceDescriptors all = device->descriptors().value();
  DeviceSource source;
  if (GetParam() == Backend::Cdev) {
    source.cdev = duplicate(all.device);
  } else {
    source.group = duplicate(all.group);
  }
  const auto alone = try_next({}, std::move(source));
  ASSERT_FALSE(alone);
  EXPECT_EQ(alone.error().code, EINVAL);
  EXPECT_THAT(alone.error().message(), HasSubstr("handed over"));
  EXPECT_EQ(kernel->dma_mappings(), 1U);
  start_driver(1);
  EXPECT_EQ(hardware->fire(0), Fired::Delivered) << "the first process goes on";
}

TEST_P(WaitingDevice, OpeningThatFailsAtAnyCallLeavesTheFirstProcessAsItIs) {
  open_first(FakeSpec::nvme());
  start_driver(1);
  host.delivered();
  const unsigned resets = hardware->resets();
  unsigned failures = 0;
  for (unsigned nth = 1;; ++nth) {
    SCOPED_TRACE(nth);
    DeviceSource source = hand_over();
    kernel->forget_calls();
    kernel->fail("*", EIO, nth);
    const auto opened = try_next({}, std::move(source));
    const bool all_calls = kernel->calls().size() < nth;
    if (!opened) ++failures;
    if (all_calls) break;
  }
  ignore(kernel->locked_memory_limit(), "the failure that is left may be this call's");
  EXPECT_GT(failures, 10U);
  kernel->forget_calls();
  EXPECT_EQ(hardware->resets(), resets);
  EXPECT_EQ(hardware->fire(0), Fired::Delivered);
  EXPECT_THAT(host.delivered(), ElementsAre(message_of(0)));
}

}  // namespace
}  // namespace passthru
