// SPDX-License-Identifier: MIT
// Tests with a failing call of the kernel or the VMM during any operation. No descriptor, mapping,
// route, irqfd or line may leak. A reset restores the device; so does detaching it for the next
// user.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <ostream>
#include <set>
#include <string_view>
#include <tuple>
#include <vector>

#include "tests/unit/device/assigned_fixture.h"

namespace passthru {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr size_t kPage = 4096;
alignas(kPage) std::byte g_ram[kPage];

class AnyFailure;

/// An operation on a device that its guest uses.
struct Act {
  const char* name;
  std::function<void(AnyFailure&)> run;
  friend void PrintTo(const Act& act, std::ostream* out) { *out << act.name; }
};

/// The `bool` parameter: the VMM sets levels and has no resampling irqfds.
class AnyFailure : public AssignedFixture,
                   public testing::WithParamInterface<std::tuple<Act, bool>> {
 public:
  void enable_vectors() {
    enable_msix();
    for (unsigned vector = 0; vector < 3; ++vector) enable_vector(vector);
  }
  void detach() { device.reset(); }
  void open_again() {
    detach();
    if (auto opened = try_open()) device = std::move(*opened);
  }
  void heal() {
    hardware->backdoor_reset();
    ignore(device->check_health(), "it may fail");
  }

  using AssignedFixture::device;
  using AssignedFixture::place;

 protected:
  void SetUp() override {
    host.by_level = std::get<bool>(GetParam());
    FakeSpec spec = FakeSpec::nvme();
    spec.express = false;  // opening a device with 4 KiB of config space takes a thousand calls
    spec.msi_vectors = 4;
    hardware = &plug(spec);
    ASSERT_TRUE(domain.add_memory(0, g_ram));
  }

  /// Requires the state after power-on. Fires INTx once; then the guest places its BAR and uses
  /// MSI-X.
  void use() {
    hardware->set_intx(true);
    ASSERT_TRUE(host.by_level ? soon_high() : host.intx_delivered());
    hardware->set_intx(false);
    host.end_of_intx();
    device->end_of_intx();
    place(kWindow);
    enable_vectors();
    host.delivered();
    ASSERT_EQ(hardware->fire(2), Fired::Delivered);
    ASSERT_THAT(host.delivered(), ElementsAre(message_of(2)));
  }
  void expect_nothing_left() {
    EXPECT_EQ(kernel->open_fds(), 0U);
    EXPECT_EQ(kernel->mappings(), 0U);
    EXPECT_EQ(kernel->dma_mappings(), 0U);
    EXPECT_EQ(host.routes(), 0U);
    EXPECT_EQ(host.armed(), 0U);
    EXPECT_THAT(host.mappings(), IsEmpty());
    EXPECT_THAT(host.traps(), IsEmpty());
    EXPECT_FALSE(host.intx_armed());
    EXPECT_FALSE(host.intx_level());
  }
  /// Runs the operation with the failures that `fail` sets up. Then checks that the device works
  /// after a reset and that a detach leaves nothing behind.
  void fail_in_act(const std::function<void()>& fail) {
    ASSERT_NO_FATAL_FAILURE(open());
    ASSERT_NO_FATAL_FAILURE(use());
    kernel->forget_calls();
    fail();
    std::get<Act>(GetParam()).run(*this);
    host.fail_next("", 0);  // the operation may not have called the VMM
    calls = kernel->calls();
    if (device) {
      EXPECT_TRUE(device->reset());
      ASSERT_NO_FATAL_FAILURE(use());
      detach();
    }
    expect_nothing_left();
  }
  void leave_it_to_the_next() {
    ASSERT_NO_FATAL_FAILURE(open());
    EXPECT_EQ(dma_mappings(), 1U) << "RAM";
    ASSERT_NO_FATAL_FAILURE(use());
    EXPECT_TRUE(mapped(kWindow));
    EXPECT_EQ(dma_mappings(), 2U) << "RAM and the BAR";
    detach();
    expect_nothing_left();
  }

  std::vector<FakeCall> calls;  ///< kernel calls during the operation
};

// Our own calls: these fail only for an invalid argument.
bool can_fail(std::string_view call) {
  return !std::set<std::string_view>{"signal_eventfd", "drain_eventfd", "munmap"}.contains(call);
}

TEST_P(AnyFailure, OfTheKernelLeavesNothingBehind) {
  ASSERT_NO_FATAL_FAILURE(fail_in_act([] {}));
  const std::vector<FakeCall> all = calls;
  ASSERT_THAT(all, testing::Not(IsEmpty()));
  for (unsigned nth = 1; nth <= all.size(); ++nth) {
    if (!can_fail(all[nth - 1].name)) continue;
    SCOPED_TRACE(testing::Message() << "call " << nth << ", " << all[nth - 1].name);
    ASSERT_NO_FATAL_FAILURE(fail_in_act([this, nth] { kernel->fail("*", EIO, nth); }));
    ASSERT_GE(calls.size(), nth) << "the operation made the call, and it failed";
    ASSERT_NO_FATAL_FAILURE(leave_it_to_the_next());
  }
}

TEST_P(AnyFailure, OfTheVmmLeavesNothingBehind) {
  for (const char* call :
       {"map", "unmap", "trap", "create_route", "update_route", "arm", "arm_intx"}) {
    for (unsigned nth = 1; nth <= 3; ++nth) {
      SCOPED_TRACE(testing::Message() << call << " " << nth);
      ASSERT_NO_FATAL_FAILURE(
          fail_in_act([this, call, nth] { host.fail_next(call, ENOSPC, nth); }));
      ASSERT_NO_FATAL_FAILURE(leave_it_to_the_next());
    }
  }
}

const Act kActs[] = {
    {"OfOpening", [](AnyFailure& test) { test.open_again(); }},
    {"OfMovingABar", [](AnyFailure& test) { test.place(kElsewhere); }},
    {"OfTurningDecodeOff", [](AnyFailure& test) { test.device->config_write(kCommand, 2, 0); }},
    {"OfTurningMsixOffAndOn",
     [](AnyFailure& test) {
       test.device->config_write(kMsixControl, 2, 0);
       test.enable_vectors();
     }},
    {"OfChangingToMsi",
     [](AnyFailure& test) {
       test.device->config_write(kMsixControl, 2, 0);
       test.device->config_write(kMsi + 4, 4, 0xfee0'0000);
       test.device->config_write(kMsi + 2, 2, 0x21);  // 4 messages, enabled
     }},
    {"OfHealing", [](AnyFailure& test) { test.heal(); }},
    {"OfSleepingAndWaking",
     [](AnyFailure& test) {
       test.device->config_write(kPowerControl, 2, 3);
       test.device->config_write(kPowerControl, 2, 0);
     }},
    {"OfAReset", [](AnyFailure& test) { ignore(test.device->reset(), "it may fail"); }},
    {"OfDetaching", [](AnyFailure& test) { test.detach(); }},
};

INSTANTIATE_TEST_SUITE_P(AtEachCall, AnyFailure,
                         testing::Combine(testing::ValuesIn(kActs), testing::Bool()),
                         [](const auto& test) {
                           return std::string(std::get<Act>(test.param).name) +
                                  (std::get<bool>(test.param) ? "ByLevel" : "");
                         });

}  // namespace
}  // namespace passthru
