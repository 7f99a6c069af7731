// SPDX-License-Identifier: MIT
// The mappings of windows into the guest. A change happens completely or not at all.
#include <gtest/gtest.h>

#include <array>
#include <chrono>
#include <future>
#include <memory>
#include <utility>
#include <vector>

#include "tests/unit/mmap/address_space_fixture.h"

namespace passthru {
namespace {

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

// Other memory could get its address, and the guest would reach that memory.
TEST(AddressSpaceMapping, AMappingThatCannotBeTakenAwayKeepsItsMemoryUntilItCan) {
  FakeMapper mapper;
  AddressSpace space(kLimit, &mapper, kPage);
  add(space, mapped_window(0x20000, 0x4000, 0x200000));
  Window window = mapped_window(0x10000, 0x4000, 0x100000);
  const std::weak_ptr<AccessTarget> target = window.target;
  const WindowId id = add(space, std::move(window));
  mapper.kept = {0x10000};
  remove(space, id);
  space.wait_for_readers();
  EXPECT_FALSE(target.expired());
  std::array<std::byte, 1> byte{};
  EXPECT_FALSE(space.read(0x10000, byte)) << "the window is removed all the same";
  EXPECT_EQ(space.mappings(), (std::vector<GuestMapping>{{0x20000, 0x4000, host(0x200000)}}));

  const WindowId other = add(space, mapped_window(0x30000, 0x4000, 0x300000));
  space.wait_for_readers();
  EXPECT_FALSE(target.expired()) << "the mapper refused again";

  mapper.kept.clear();
  remove(space, other);
  EXPECT_EQ(mapper.all(), space.mappings());
  space.wait_for_readers();
  EXPECT_TRUE(target.expired());
  EXPECT_EQ(mapper.all(), space.mappings());
}

// A target may be the last owner of an object that calls the space in its destructor.
TEST(AddressSpaceMapping, ATargetThatWasKeptEndsOutsideTheLock) {
  std::future<std::vector<GuestMapping>> answered;
  struct Asker : Recorder {
    Asker(const AddressSpace& space, std::future<std::vector<GuestMapping>>& answer)
        : Recorder(1), space_(space), answer_(answer) {}
    Asker(const Asker&) = delete;
    Asker& operator=(const Asker&) = delete;
    ~Asker() override {
      answer_ = std::async(std::launch::async, [&space = space_] { return space.mappings(); });
      EXPECT_EQ(answer_.wait_for(std::chrono::seconds(10)), std::future_status::ready);
    }

   private:
    const AddressSpace& space_;
    std::future<std::vector<GuestMapping>>& answer_;
  };
  FakeMapper mapper;
  AddressSpace space(kLimit, &mapper, kPage);
  const WindowId id =
      add(space,
          {0x10000, kPage, std::make_shared<Asker>(space, answered), {{0, kPage, host(0x100000)}}});
  mapper.kept = {0x10000};
  remove(space, id);
  space.wait_for_readers();  // now only the space keeps the target
  mapper.kept.clear();
  space.wait_for_readers();
  ASSERT_TRUE(answered.valid()) << "the target was destroyed";
  EXPECT_TRUE(answered.get().empty());
}

// The last change of a removed device: the next change may be much later or never.
TEST(AddressSpaceMapping, WaitingForReadersTriesAgainToTakeAMappingAway) {
  FakeMapper mapper;
  AddressSpace space(kLimit, &mapper, kPage);
  Window window = mapped_window(0x10000, 0x4000, 0x100000);
  const std::weak_ptr<AccessTarget> target = window.target;
  const WindowId id = add(space, std::move(window));
  mapper.kept = {0x10000};
  remove(space, id);
  mapper.kept.clear();
  space.wait_for_readers();
  EXPECT_TRUE(target.expired());
  EXPECT_TRUE(mapper.all().empty());
}

TEST(AddressSpaceMapping, WhatARollbackCannotTakeAwayKeepsItsMemoryToo) {
  FakeMapper mapper;
  AddressSpace space(kLimit, &mapper, kPage);
  Window fits = mapped_window(0x10000, 0x4000, 0x100000);
  const std::weak_ptr<AccessTarget> target = fits.target;
  mapper.refused = 0x20000;
  mapper.kept = {0x10000};
  AddressSpaceChange change;
  change.add = {std::move(fits), mapped_window(0x20000, 0x4000, 0x200000)};
  EXPECT_FALSE(space.commit(std::move(change)));
  EXPECT_FALSE(target.expired());
  EXPECT_TRUE(space.mappings().empty());

  mapper.kept.clear();
  add(space, mapped_window(0x30000, 0x4000, 0x300000));
  space.wait_for_readers();
  EXPECT_TRUE(target.expired());
  EXPECT_EQ(mapper.all(), space.mappings());
}

/// Three windows. Each has mappings that the change adds, keeps or removes.
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
  mapper.refused = 0x20000;  // and after its removal also the old place
  mapper.calls_to_fail = 2;
  ASSERT_FALSE(space.commit({{id}, {mapped_window(0x20000, 0x1000, 0x100000)}}));
  EXPECT_TRUE(mapper.all().empty());
  EXPECT_TRUE(space.mappings().empty());
  EXPECT_EQ(read(space, 0x10000, 1), 1U) << "the window still answers, with an exit";

  mapper.calls_to_fail = 0;
  mapper.refused = 0x10000;
  add(space, mapped_window(0x30000, 0x1000, 0x300000));
  EXPECT_EQ(mapper.all().size(), 1U) << "it does not make a change of another window fail";
  mapper.refused = UINT64_MAX;
  add(space, mapped_window(0x40000, 0x1000, 0x400000));
  EXPECT_EQ(mapper.all().size(), 3U) << "it is mapped as soon as the mapper allows it";
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

}  // namespace
}  // namespace passthru
