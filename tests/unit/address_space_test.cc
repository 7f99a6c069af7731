// SPDX-License-Identifier: MIT
#include "mmap/address_space.h"

#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <cstring>
#include <string>
#include <thread>

#include "tests/unit/fake_mapper.h"

namespace passthru {
namespace {

constexpr uint64_t kLimit = uint64_t{1} << 40;
constexpr uint64_t kPage = 4096;

/// Host memory that is never touched: only its address matters.
std::byte* host(uint64_t address) {
  return reinterpret_cast<std::byte*>(address);
}

/// Reads as its own number in every byte and remembers what was asked of it.
class Recorder : public AccessTarget {
 public:
  explicit Recorder(uint8_t number) : number_(number) {}
  void read(uint64_t offset, std::span<std::byte> data) override {
    log += "r" + std::to_string(offset) + "+" + std::to_string(data.size()) + " ";
    std::fill(data.begin(), data.end(), std::byte{number_});
  }
  void write(uint64_t offset, std::span<const std::byte> data) override {
    log += "w" + std::to_string(offset) + "+" + std::to_string(data.size()) + " ";
  }
  std::string log;

 private:
  const uint8_t number_;
};

uint64_t read(const AddressSpace& space, uint64_t address, unsigned width) {
  std::array<std::byte, 8> bytes{};
  space.read(address, std::span(bytes).first(width));
  uint64_t value = 0;
  std::memcpy(&value, bytes.data(), sizeof value);
  return value;
}

WindowId add(AddressSpace& space, Window window) {
  AddressSpaceChange change;
  change.add.push_back(std::move(window));
  auto ids = space.commit(std::move(change));
  EXPECT_TRUE(ids) << ids.error().message();
  return ids ? ids->front() : 0;
}

void remove(AddressSpace& space, WindowId id) {
  ASSERT_TRUE(space.commit({.remove = {id}, .add = {}}));
}

Window mapped_window(uint64_t base, uint64_t size, uint64_t memory) {
  return {base, size, std::make_shared<Recorder>(uint8_t{1}), {{0, size, host(memory)}}};
}

TEST(AddressSpace, AnAccessFindsItsWindowAndTheOffsetInIt) {
  AddressSpace space(kLimit, nullptr);
  auto target = std::make_shared<Recorder>(uint8_t{7});
  add(space, {0x1000, 0x100, target, {}});
  EXPECT_EQ(read(space, 0x1010, 4), 0x07070707U);
  const std::array<std::byte, 2> data{};
  EXPECT_TRUE(space.write(0x10fe, data));
  EXPECT_EQ(target->log, "r16+4 w254+2 ");
}

TEST(AddressSpace, WhatNobodyAnswersReadsAllOnesAndSaysSo) {
  AddressSpace space(kLimit, nullptr);
  std::array<std::byte, 4> data{};
  EXPECT_FALSE(space.read(0x1000, data));
  EXPECT_EQ(data, (std::array<std::byte, 4>{std::byte{0xff}, std::byte{0xff}, std::byte{0xff},
                                            std::byte{0xff}}));
  add(space, {0x1000, 0x100, std::make_shared<Recorder>(uint8_t{7}), {}});
  EXPECT_FALSE(space.read(0xfff - 3, data));
  EXPECT_FALSE(space.read(0x1100, data));
  EXPECT_FALSE(space.write(0x1100, data));
  EXPECT_FALSE(space.read(UINT64_MAX - 3, data));
}

TEST(AddressSpace, AnAccessAcrossSeveralWindowsIsSplitBetweenThem) {
  AddressSpace space(kLimit, nullptr);
  auto low = std::make_shared<Recorder>(uint8_t{1});
  auto high = std::make_shared<Recorder>(uint8_t{2});
  add(space, {0x1002, 2, low, {}});
  add(space, {0x1005, 0x100, high, {}});
  EXPECT_EQ(read(space, 0x1000, 8), 0x020202ff0101ffffU);
  EXPECT_EQ(low->log, "r0+2 ");
  EXPECT_EQ(high->log, "r0+3 ");
}

TEST(AddressSpace, AnAccessBeyondTheTopOfTheSpaceDoesNotWrapToZero) {
  AddressSpace space(UINT64_MAX, nullptr);
  auto zero = std::make_shared<Recorder>(uint8_t{1});
  add(space, {0, 0x1000, zero, {}});
  add(space, {UINT64_MAX - 4, 4, std::make_shared<Recorder>(uint8_t{2}), {}});
  EXPECT_EQ(read(space, UINT64_MAX - 3, 8), 0xffffffffff020202U);
  EXPECT_EQ(zero->log, "");
}

TEST(AddressSpace, TheWindowAddedFirstAnswersUntilItGoes) {
  AddressSpace space(kLimit, nullptr);
  const WindowId first = add(space, {0x1000, 0x100, std::make_shared<Recorder>(uint8_t{1}), {}});
  add(space, {0x1080, 0x100, std::make_shared<Recorder>(uint8_t{2}), {}});
  EXPECT_EQ(read(space, 0x10f0, 1), 1U);
  EXPECT_EQ(read(space, 0x1100, 1), 2U);
  remove(space, first);
  EXPECT_EQ(read(space, 0x10f0, 1), 2U);
  EXPECT_EQ(read(space, 0x1000, 1), 0xffU);
}

TEST(AddressSpace, AWindowWithoutATargetHidesWhatIsAddedAfterIt) {
  FakeMapper mapper;
  AddressSpace space(kLimit, &mapper, kPage);
  add(space, {0x10000, 0x2000, nullptr, {}});
  add(space, mapped_window(0x11000, 0x2000, 0x100000));
  EXPECT_EQ(read(space, 0x11000, 1), 0xffU);
  EXPECT_EQ(read(space, 0x12000, 1), 1U);
  EXPECT_EQ(mapper.all(), (std::vector<GuestMapping>{{0x12000, 0x1000, host(0x101000)}}));
}

struct BadChange {
  std::string name;
  AddressSpaceChange change;
};

class BadAddressSpaceChange : public testing::TestWithParam<BadChange> {};

TEST_P(BadAddressSpaceChange, IsRefusedAndChangesNothing) {
  FakeMapper mapper;
  AddressSpace space(0x10000, &mapper, kPage);
  add(space, mapped_window(0x4000, 0x1000, 0x100000));
  const auto ids = space.commit(GetParam().change);
  ASSERT_FALSE(ids);
  EXPECT_EQ(ids.error().code, EINVAL);
  EXPECT_EQ(read(space, 0x4000, 1), 1U);
  EXPECT_EQ(read(space, 0x8000, 1), 0xffU);
  EXPECT_EQ(mapper.maps, 1U);
}

INSTANTIATE_TEST_SUITE_P(
    AddressSpace, BadAddressSpaceChange,
    testing::Values(
        BadChange{"SizeZero", {{}, {{0x8000, 0, nullptr, {}}}}},
        BadChange{"BeyondTheLimit", {{}, {{0x8000, 0x8001, nullptr, {}}}}},
        BadChange{"BaseAtTheLimit", {{}, {{0x10000, 1, nullptr, {}}}}},
        BadChange{"Wrapping", {{}, {{0x8000, UINT64_MAX, nullptr, {}}}}},
        BadChange{"OneOfTwo", {{}, {{0x8000, 16, nullptr, {}}, {0x9000, 0, nullptr, {}}}}},
        BadChange{"SpanBeyondTheEnd", {{}, {{0x8000, 16, nullptr, {{16, 1, nullptr}}}}}},
        BadChange{"SpanWrapping", {{}, {{0x8000, 16, nullptr, {{8, UINT64_MAX, nullptr}}}}}},
        BadChange{"SpansOverlap",
                  {{}, {{0x8000, 16, nullptr, {{0, 8, nullptr}, {7, 2, nullptr}}}}}},
        BadChange{"UnknownId", {{99}, {}}}, BadChange{"KnownAndUnknownId", {{1, 99}, {}}},
        BadChange{"TheSameIdTwice", {{1, 1}, {}}}),
    [](const auto& test) { return test.param.name; });

TEST(AddressSpaceMapping, AMoveUnmapsTheOldPlaceAndMapsTheNew) {
  FakeMapper mapper;
  AddressSpace space(kLimit, &mapper, kPage);
  const WindowId id = add(space, mapped_window(0x10000, 0x4000, 0x100000));
  EXPECT_EQ(mapper.all(), (std::vector<GuestMapping>{{0x10000, 0x4000, host(0x100000)}}));
  ASSERT_TRUE(space.commit({{id}, {mapped_window(0x20000, 0x4000, 0x100000)}}));
  EXPECT_EQ(mapper.all(), (std::vector<GuestMapping>{{0x20000, 0x4000, host(0x100000)}}));
  EXPECT_EQ(mapper.unmaps, 1U);
  EXPECT_EQ(space.mappings(), mapper.all());
}

TEST(AddressSpaceMapping, WhatDoesNotChangeIsNotTouched) {
  FakeMapper mapper;
  AddressSpace space(kLimit, &mapper, kPage);
  add(space, mapped_window(0x10000, 0x4000, 0x100000));
  const WindowId other = add(space, mapped_window(0x20000, 0x4000, 0x200000));
  remove(space, other);
  EXPECT_EQ(mapper.maps, 2U);
  EXPECT_EQ(mapper.unmaps, 1U);
}

TEST(AddressSpaceMapping, TheHiddenPartAppearsWhenTheCoverGoes) {
  FakeMapper mapper;
  AddressSpace space(kLimit, &mapper, kPage);
  const WindowId cover = add(space, {0x11000, 0x10, std::make_shared<Recorder>(uint8_t{2}), {}});
  add(space, mapped_window(0x10000, 0x4000, 0x100000));
  EXPECT_EQ(mapper.all(), (std::vector<GuestMapping>{{0x10000, 0x1000, host(0x100000)},
                                                     {0x12000, 0x2000, host(0x102000)}}));
  remove(space, cover);
  EXPECT_EQ(mapper.all(), (std::vector<GuestMapping>{{0x10000, 0x4000, host(0x100000)}}));
}

TEST(AddressSpaceMapping, AnUnalignedPlaceIsTrappedAndAnAlignedOneMappedAgain) {
  FakeMapper mapper;
  AddressSpace space(kLimit, &mapper, kPage);
  const WindowId id = add(space, mapped_window(0x10800, 0x4000, 0x100000));
  EXPECT_TRUE(mapper.all().empty());
  EXPECT_EQ(read(space, 0x10800, 1), 1U);
  ASSERT_TRUE(space.commit({{id}, {mapped_window(0x20000, 0x4000, 0x100000)}}));
  EXPECT_EQ(mapper.all().size(), 1U);
}

TEST(AddressSpaceMapping, ABarSmallerThanAPageLosesItsPageToANeighbourAndGetsItBack) {
  FakeMapper mapper;
  AddressSpace space(kLimit, &mapper, kPage);
  add(space,
      {0x10000, 0x100, std::make_shared<Recorder>(uint8_t{1}), {{0, kPage, host(0x100000)}}});
  EXPECT_EQ(mapper.all(), (std::vector<GuestMapping>{{0x10000, kPage, host(0x100000)}}));
  const WindowId neighbour =
      add(space, {0x10800, 0x100, std::make_shared<Recorder>(uint8_t{2}), {}});
  EXPECT_TRUE(mapper.all().empty());
  EXPECT_EQ(read(space, 0x10800, 1), 2U);
  remove(space, neighbour);
  EXPECT_EQ(mapper.all().size(), 1U);
}

/// Three windows of which each has mappings that a change adds, keeps, or takes.
class AddressSpaceRollback : public testing::TestWithParam<unsigned> {};

TEST_P(AddressSpaceRollback, LeavesEverythingAsItWasWhenTheMapperFails) {
  FakeMapper mapper;
  AddressSpace space(kLimit, &mapper, kPage);
  const WindowId moves = add(space, mapped_window(0x10000, 0x4000, 0x100000));
  const WindowId shrinks = add(space, {0x11000, 0x10, std::make_shared<Recorder>(uint8_t{9}), {}});
  add(space, mapped_window(0x20000, 0x8000, 0x200000));
  const std::vector<GuestMapping> before = mapper.all();

  mapper.calls_to_fail = GetParam();
  const AddressSpaceChange change{
      {moves, shrinks},
      {mapped_window(0x40000, 0x4000, 0x100000), mapped_window(0x50000, 0x1000, 0x300000),
       mapped_window(0x60000, 0x1000, 0x400000)}};
  const auto ids = space.commit(change);
  ASSERT_FALSE(ids);
  EXPECT_EQ(ids.error().code, ENOSPC);
  EXPECT_EQ(mapper.all(), before);
  EXPECT_EQ(space.mappings(), before);
  EXPECT_EQ(read(space, 0x10000, 1), 1U);
  EXPECT_EQ(read(space, 0x40000, 1), 0xffU);

  mapper.calls_to_fail = 0;
  const auto again = space.commit(change);
  ASSERT_TRUE(again);
  EXPECT_EQ(mapper.all().size(), 4U);
  EXPECT_EQ(read(space, 0x40000, 1), 1U);
}

INSTANTIATE_TEST_SUITE_P(AtEachCall, AddressSpaceRollback, testing::Values(1U, 2U, 3U));

TEST(AddressSpaceMapping, WhatTheMapperTakesBackNoMoreIsTrappedUntilItDoes) {
  FakeMapper mapper;
  AddressSpace space(kLimit, &mapper, kPage);
  const WindowId id = add(space, mapped_window(0x10000, 0x1000, 0x100000));
  mapper.refused = 0x20000;  // and, once it was taken away, the old place too
  mapper.calls_to_fail = 2;
  ASSERT_FALSE(space.commit({{id}, {mapped_window(0x20000, 0x1000, 0x100000)}}));
  EXPECT_TRUE(mapper.all().empty());
  EXPECT_TRUE(space.mappings().empty());
  EXPECT_EQ(read(space, 0x10000, 1), 1U) << "it is still there, at the price of an exit";

  mapper.calls_to_fail = 0;
  mapper.refused = 0x10000;
  add(space, mapped_window(0x30000, 0x1000, 0x300000));
  EXPECT_EQ(mapper.all().size(), 1U) << "a change of another window does not fail for it";
  mapper.refused = UINT64_MAX;
  add(space, mapped_window(0x40000, 0x1000, 0x400000));
  EXPECT_EQ(mapper.all().size(), 3U) << "it is mapped as soon as the mapper lets it";
}

TEST(AddressSpaceMapping, ARemovalNeverFailsEvenIfWhatItUncoversCannotBeMapped) {
  FakeMapper mapper;
  AddressSpace space(kLimit, &mapper, kPage);
  const WindowId cover = add(space, mapped_window(0x10000, 0x1000, 0x100000));
  add(space, mapped_window(0x10000, 0x1000, 0x200000));
  mapper.refused = 0x10000;
  remove(space, cover);
  EXPECT_TRUE(mapper.all().empty());
  EXPECT_EQ(read(space, 0x10000, 1), 1U);
}

TEST(AddressSpaceMapping, TheEndOfTheSpaceTakesEverythingOutOfTheGuest) {
  FakeMapper mapper;
  {
    AddressSpace space(kLimit, &mapper, kPage);
    add(space, mapped_window(0x10000, 0x1000, 0x100000));
  }
  EXPECT_TRUE(mapper.all().empty());
}

/// Commits when it is read: a config write that comes through a memory-mapped window.
class Mover : public AccessTarget {
 public:
  explicit Mover(AddressSpace& space) : space_(space) {}
  void read(uint64_t /*offset*/, std::span<std::byte> data) override {
    ASSERT_TRUE(space_.commit({{id}, {}})) << "removes the very window that is being read";
    data[0] = std::byte{5};
  }
  void write(uint64_t /*offset*/, std::span<const std::byte> /*data*/) override {}
  WindowId id = 0;

 private:
  AddressSpace& space_;
};

TEST(AddressSpaceReaders, AnAccessMayChangeTheSpaceAndItsTargetLivesOn) {
  AddressSpace space(kLimit, nullptr);
  auto mover = std::make_shared<Mover>(space);
  std::weak_ptr<Mover> alive = mover;
  mover->id = add(space, {0x1000, 0x100, mover, {}});
  mover.reset();
  EXPECT_EQ(read(space, 0x1000, 1), 5U);
  EXPECT_EQ(read(space, 0x1000, 1), 0xffU);
  space.wait_for_readers();
  EXPECT_TRUE(alive.expired()) << "nothing keeps what was removed";
}

/// Says whether it was reached after it was destroyed, as far as memory still tells; sanitizers
/// tell for sure.
class Mortal : public AccessTarget {
 public:
  ~Mortal() override { alive_ = 0; }
  void read(uint64_t /*offset*/, std::span<std::byte> data) override {
    data[0] = static_cast<std::byte>(alive_);
  }
  void write(uint64_t /*offset*/, std::span<const std::byte> /*data*/) override {}

 private:
  volatile uint8_t alive_ = 42;
};

TEST(AddressSpaceReaders, NeverSeeFreedOrHalfMovedState) {
  AddressSpace space(kLimit, nullptr);
  std::atomic<bool> stop{false};
  std::atomic<unsigned> wrong{0};
  std::atomic<unsigned> found{0};
  // A and B change places in one step: whoever reads one of the two places finds somebody there.
  const auto pair = [] {
    return std::vector<Window>{{0x1000, 0x1000, std::make_shared<Mortal>(), {}},
                               {0x2000, 0x1000, std::make_shared<Mortal>(), {}}};
  };
  auto ids = space.commit({{}, pair()});
  ASSERT_TRUE(ids);
  const auto reader = [&](uint64_t address) {
    while (!stop) {
      std::array<std::byte, 1> byte{};
      if (!space.read(address, byte) || byte[0] != std::byte{42}) ++wrong;
      ++found;
    }
  };
  std::thread low(reader, 0x1010);
  std::thread high(reader, 0x2010);
  for (int i = 0; i < 2000; ++i) {
    ids = space.commit({*ids, pair()});
    ASSERT_TRUE(ids);
  }
  while (found < 1000) std::this_thread::yield();
  stop = true;
  low.join();
  high.join();
  EXPECT_EQ(wrong, 0U);
}

TEST(AddressSpaceReaders, AreWaitedForBeforeTheirTargetMayGo) {
  AddressSpace space(kLimit, nullptr);
  class Slow : public AccessTarget {
   public:
    void read(uint64_t /*offset*/, std::span<std::byte> /*data*/) override {
      entered = true;
      std::this_thread::sleep_for(std::chrono::milliseconds(30));
      left = 1;  // not atomic: only wait_for_readers orders it
    }
    void write(uint64_t /*offset*/, std::span<const std::byte> /*data*/) override {}
    std::atomic<bool> entered{false};
    int left = 0;
  };
  auto slow = std::make_shared<Slow>();
  const WindowId id = add(space, {0x1000, 0x100, slow, {}});
  std::thread vcpu([&] { read(space, 0x1000, 1); });
  while (!slow->entered) std::this_thread::yield();
  remove(space, id);
  space.wait_for_readers();
  EXPECT_EQ(slow->left, 1);
  vcpu.join();
}

}  // namespace
}  // namespace passthru
