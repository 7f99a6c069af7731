// SPDX-License-Identifier: MIT
// The pure parts of the C++ interface: results, errors, and the barrier that keeps exceptions of a
// VMM from the library. They call no function of the library.
#include <gtest/gtest.h>

#include <cerrno>
#include <functional>
#include <ios>
#include <memory>
#include <new>
#include <passthru/passthru.hpp>
#include <span>
#include <stdexcept>
#include <string>
#include <system_error>
#include <type_traits>
#include <utility>
#include <vector>

namespace {

using passthru::Domain;
using passthru::Error;
using passthru::Message;
using passthru::Result;
using passthru::Vmm;

static_assert(!std::is_copy_constructible_v<Domain> &&
              std::is_nothrow_move_constructible_v<Domain>);
static_assert(!std::is_copy_constructible_v<passthru::Device> &&
              std::is_nothrow_move_constructible_v<passthru::Device>);
static_assert(passthru::guest_address(1, 2, 3) == 0x113);

TEST(CppResult, HasAValueOrAnError) {
  const Result<int> seven = 7;
  EXPECT_TRUE(seven);
  EXPECT_TRUE(seven.has_value());
  EXPECT_EQ(seven.value(), 7);
  EXPECT_EQ(*seven, 7);

  const Result<int> busy = Error(EBUSY, "0000:01:00.0: cannot open the device: it is in use");
  EXPECT_FALSE(busy);
  EXPECT_FALSE(busy.has_value());
  EXPECT_EQ(busy.error().code(), EBUSY);
  EXPECT_STREQ(busy.error().what(), "0000:01:00.0: cannot open the device: it is in use");
}

TEST(CppResult, WithoutAValueThrowsItsErrorWhereTheValueIsUsed) {
  Result<std::string> busy = Error(EBUSY, "in use");
  const auto throws_busy = [](const auto& use) {
    try {
      use();
    } catch (const Error& error) {
      return error.code() == EBUSY && std::string(error.what()) == "in use";
    }
    return false;
  };
  EXPECT_TRUE(throws_busy([&] { busy.value(); }));
  EXPECT_TRUE(throws_busy([&] { std::as_const(busy).value(); }));
  EXPECT_TRUE(throws_busy([&] { static_cast<void>(*busy); }));
  EXPECT_TRUE(throws_busy([&] { static_cast<void>(busy->size()); }));
  EXPECT_TRUE(throws_busy([&] { std::move(busy).value(); }));
  EXPECT_TRUE(throws_busy([] { Result<void>(Error(EBUSY, "in use")).value(); }));
}

TEST(CppResult, GivesAMoveOnlyValueAway) {
  Result<std::unique_ptr<int>> made = std::make_unique<int>(7);
  const std::unique_ptr<int> taken = std::move(made).value();
  EXPECT_EQ(*taken, 7);
}

TEST(CppResult, OfATemporaryCanBeIterated) {
  const auto numbers = [] { return Result<std::vector<int>>(std::vector<int>{1, 2, 3}); };
  int sum = 0;
  for (const int number : numbers().value()) sum += number;
  for (const int number : *numbers()) sum += number;
  EXPECT_EQ(sum, 12);
}

TEST(CppResult, IsReplacedByAnotherValueOnlyIfItHasNone) {
  EXPECT_EQ(Result<uint32_t>(7U).value_or(~0U), 7U);
  EXPECT_EQ(Result<uint32_t>(Error(EINVAL)).value_or(~0U), ~0U);
}

TEST(CppResult, OfVoidIsSuccessByDefault) {
  EXPECT_TRUE(Result<void>());
  EXPECT_NO_THROW(Result<void>().value());
  const Result<void> failed = Error(ENOSPC);
  EXPECT_FALSE(failed);
  EXPECT_EQ(failed.error().code(), ENOSPC);
  EXPECT_STREQ(failed.error().what(), "");
}

/// A VMM whose every function does what `behave` does, and then succeeds.
class BehavingVmm final : public passthru::Mapper,
                          public passthru::Translator,
                          public passthru::Router,
                          public passthru::IntxWiring,
                          public passthru::Events {
 public:
  Result<void> map(uint64_t /*address*/, std::span<std::byte> memory) override {
    mapped = memory.size();
    return behave();
  }
  Result<void> unmap(uint64_t /*address*/, uint64_t /*size*/) override { return behave(); }
  Result<Message> translate(uint32_t /*source*/, const Message& message) override {
    if (Result<void> done = behave(); !done) return done.error();
    return Message{.address = message.address + 0x1000, .data = message.data + 1, .reserved = 0};
  }
  Result<uint32_t> route_add(uint32_t /*source*/, const Message& /*message*/) override {
    if (Result<void> done = behave(); !done) return done.error();
    return 24U;
  }
  Result<void> route_update(uint32_t /*route*/, const Message& /*message*/) override {
    return behave();
  }
  void route_del(uint32_t route) noexcept override { deleted = route; }
  Result<void> irqfd_on(uint32_t /*route*/, int /*eventfd*/) override { return behave(); }
  void irqfd_off(uint32_t /*route*/, int /*eventfd*/) noexcept override {}
  Result<uint32_t> intx_gsi(uint32_t /*guest_address*/, uint32_t pin) override {
    if (Result<void> done = behave(); !done) return done.error();
    return 16 + pin;
  }
  void event(const passthru::Event& event) noexcept override { reported = event.kind; }

  std::function<Result<void>()> behave = [] { return Result<void>(); };
  size_t mapped = 0;
  uint32_t deleted = 0;
  uint32_t reported = 0;
};

Vmm groups_of(BehavingVmm& vmm) {
  return {.mapper = &vmm, .translator = &vmm, .router = &vmm, .intx_wiring = &vmm, .events = &vmm};
}

TEST(CppCallbacks, CallTheVmm) {
  BehavingVmm vmm;
  Vmm groups = groups_of(vmm);
  const passthru_callbacks table = passthru::detail::callbacks_of(groups);
  EXPECT_EQ(table.size, sizeof(passthru_callbacks));

  EXPECT_EQ(table.map(&groups, 0, 4096, nullptr), 0);
  EXPECT_EQ(vmm.mapped, 4096U);
  Message message{.address = 0xfee00000, .data = 0x41, .reserved = 0};
  EXPECT_EQ(table.translate(&groups, 8, &message), 0);
  EXPECT_EQ(message.address, 0xfee01000U);
  EXPECT_EQ(message.data, 0x42U);
  uint32_t route = 0;
  EXPECT_EQ(table.route_add(&groups, 8, &message, &route), 0);
  EXPECT_EQ(route, 24U);
  table.route_del(&groups, 24);
  EXPECT_EQ(vmm.deleted, 24U);
  table.routes_begin(&groups);
  EXPECT_EQ(table.routes_commit(&groups), 0);
  const passthru::Event gone{.size = sizeof gone,
                             .kind = PASSTHRU_EVENT_DEVICE_GONE,
                             .guest_address = 8,
                             .reserved = 0,
                             .device = "0000:01:00.0",
                             .text = ""};
  table.event(&groups, &gone);
  EXPECT_EQ(vmm.reported, uint32_t{PASSTHRU_EVENT_DEVICE_GONE});
  EXPECT_EQ(passthru::detail::intx_gsi(&groups, 8, 2), 18);
}

TEST(CppCallbacks, OfAGroupThatTheVmmLeavesOutAreNull) {
  const passthru_callbacks none = passthru::detail::callbacks_of({});
  EXPECT_EQ(none.map, nullptr);
  EXPECT_EQ(none.unmap, nullptr);
  EXPECT_EQ(none.trap, nullptr);
  EXPECT_EQ(none.untrap, nullptr);
  EXPECT_EQ(none.place_bar, nullptr);
  EXPECT_EQ(none.translate, nullptr);
  EXPECT_EQ(none.route_add, nullptr);
  EXPECT_EQ(none.routes_begin, nullptr);
  EXPECT_EQ(none.irqfd_on, nullptr);
  EXPECT_EQ(none.signal_msi, nullptr);
  EXPECT_EQ(none.intx_on, nullptr);
  EXPECT_EQ(none.intx_level, nullptr);
  EXPECT_EQ(none.file_added, nullptr);
  EXPECT_EQ(none.event, nullptr);

  BehavingVmm vmm;
  const passthru_callbacks some = passthru::detail::callbacks_of(groups_of(vmm));
  EXPECT_NE(some.unmap, nullptr);
  EXPECT_NE(some.irqfd_off, nullptr);
  EXPECT_EQ(some.signal_msi, nullptr);
  EXPECT_EQ(some.trap, nullptr);
}

struct Failure {
  const char* name;
  std::function<Result<void>()> behave;
  int status;
};

class CppBarrier : public testing::TestWithParam<Failure> {};

TEST_P(CppBarrier, TurnsTheFailureIntoAnErrno) {
  BehavingVmm vmm;
  vmm.behave = GetParam().behave;
  Vmm groups = groups_of(vmm);
  const passthru_callbacks table = passthru::detail::callbacks_of(groups);
  const int status = GetParam().status;

  EXPECT_EQ(table.map(&groups, 0, 4096, nullptr), status);
  EXPECT_EQ(table.irqfd_on(&groups, 24, 3), status);
  Message message{.address = 0xfee00000, .data = 0x41, .reserved = 0};
  EXPECT_EQ(table.translate(&groups, 8, &message), status);
  EXPECT_EQ(message.data, 0x41U) << "a message that is not translated stays as it was";
  uint32_t route = 99;
  EXPECT_EQ(table.route_add(&groups, 8, &message, &route), status);
  EXPECT_EQ(route, 99U);
  EXPECT_EQ(passthru::detail::intx_gsi(&groups, 8, 2), status);
}

INSTANTIATE_TEST_SUITE_P(
    Each, CppBarrier,
    testing::Values(
        Failure{"AnError", []() -> Result<void> { return Error(ENOSPC); }, -ENOSPC},
        Failure{"AnErrorWithoutErrno", []() -> Result<void> { return Error(0); }, -EIO},
        Failure{"AThrownError", []() -> Result<void> { throw Error(ENOSPC); }, -ENOSPC},
        Failure{"ASystemError",
                []() -> Result<void> { throw std::system_error(EPERM, std::system_category()); },
                -EPERM},
        Failure{"ASystemErrorOfAnotherCategory",
                []() -> Result<void> { throw std::system_error(4, std::iostream_category()); },
                -EIO},
        Failure{"MemoryThatRanOut", []() -> Result<void> { throw std::bad_alloc(); }, -ENOMEM},
        Failure{"AnotherException", []() -> Result<void> { throw std::logic_error("no"); }, -EIO},
        Failure{"NoException", []() -> Result<void> { throw 1; }, -EIO}),
    [](const auto& instance) { return std::string(instance.param.name); });

}  // namespace
