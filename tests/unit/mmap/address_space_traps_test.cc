// SPDX-License-Identifier: MIT
// The windows that a VMM learns, so that it sends their accesses to the library. A change announces
// all of its windows, or changes nothing.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <set>
#include <utility>
#include <vector>

#include "tests/unit/mmap/address_space_fixture.h"

namespace passthru {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr GuestSpace kMemory = GuestSpace::Memory;

Window trapped_window(uint64_t base, uint64_t size) {
  return {base, size, std::make_shared<Recorder>(uint8_t{1}), {}};
}

class AddressSpaceTraps : public testing::Test {
 protected:
  /// Adds a window at 0x10000. A move of it fails, and the VMM does not take it back.
  WindowId add_unannounced() {
    const WindowId id = add(space, trapped_window(0x10000, 0x1000));
    mapper.traps_to_fail = 1;
    mapper.untrappable = 0x10000;
    EXPECT_FALSE(space.commit({{id}, {trapped_window(0x20000, 0x1000)}}));
    return id;
  }

  FakeMapper mapper;
  AddressSpace space{kLimit, &mapper, kPage};
};

TEST_F(AddressSpaceTraps, AWindowIsAnnouncedWholeUntilItIsRemoved) {
  const WindowId id = add(space, mapped_window(0x10800, 0x4008, 0x100000));
  EXPECT_THAT(mapper.trapped, ElementsAre(GuestTrap{kMemory, 0x10800, 0x4008}));
  remove(space, id);
  EXPECT_THAT(mapper.trapped, IsEmpty());
}

TEST_F(AddressSpaceTraps, AnOpaqueWindowIsTheVmmsOwn) {
  const WindowId id = add(space, {.base = 0x10000, .size = 0x1000});
  EXPECT_THAT(mapper.trapped, IsEmpty());
  remove(space, id);
}

TEST_F(AddressSpaceTraps, AMoveTakesTheOldPlaceBackAndThenAnnouncesTheNew) {
  add(space, trapped_window(0x50000, 0x1000));
  const WindowId id = add(space, trapped_window(0x10000, 0x4000));
  mapper.order.clear();
  ASSERT_TRUE(space.commit({{id}, {trapped_window(0x12000, 0x4000)}}));
  EXPECT_THAT(mapper.order, ElementsAre(-0x10000, 0x12000)) << "the other window is not touched";
}

TEST_F(AddressSpaceTraps, TwoWindowsInOnePlaceAreAnnouncedTwice) {
  const WindowId first = add(space, trapped_window(0x10000, 0x1000));
  add(space, trapped_window(0x10000, 0x1000));
  EXPECT_EQ(mapper.trapped.size(), 2U);
  remove(space, first);
  EXPECT_THAT(mapper.trapped, ElementsAre(GuestTrap{kMemory, 0x10000, 0x1000}));
}

TEST_F(AddressSpaceTraps, AWindowAnswersOnlyWhenItIsAnnouncedAndUntilItIsTakenBack) {
  struct Asker : FakeMapper {
    Result<void> trap(GuestSpace space, uint64_t address, uint64_t size) override {
      PASSTHRU_TRY(FakeMapper::trap(space, address, size));
      answered_in_trap = read(*asked, address, 1) != 0xff;
      return {};
    }
    const AddressSpace* asked = nullptr;
    bool answered_in_trap = false;
  };
  Asker asker;
  AddressSpace asked(kLimit, &asker, kPage);
  asker.asked = &asked;
  add(asked, trapped_window(0x10000, 0x1000));
  EXPECT_FALSE(asker.answered_in_trap) << "the change may still fail";
  EXPECT_EQ(read(asked, 0x10000, 1), 1U);
}

/// Two windows move, and one is new.
class AddressSpaceTrapRollback : public AddressSpaceTraps,
                                 public testing::WithParamInterface<unsigned> {};

TEST_P(AddressSpaceTrapRollback, LeavesEverythingAsItWasWhenAnAnnouncementFails) {
  const WindowId one = add(space, mapped_window(0x10000, 0x4000, 0x100000));
  const WindowId two = add(space, trapped_window(0x20000, 0x1000));
  add(space, trapped_window(0x30000, 0x1000));
  const auto trapped = mapper.trapped;
  const std::vector<GuestMapping> mapped = mapper.all();

  mapper.traps_to_fail = GetParam();
  const AddressSpaceChange change{
      {one, two},
      {mapped_window(0x40000, 0x4000, 0x100000), trapped_window(0x50000, 0x1000),
       trapped_window(0x60000, 0x1000)}};
  const auto ids = space.commit(change);
  ASSERT_FALSE(ids);
  EXPECT_EQ(ids.error().code, EEXIST);
  EXPECT_EQ(mapper.trapped, trapped);
  EXPECT_EQ(mapper.all(), mapped);
  EXPECT_EQ(mapper.unmaps, 0U) << "the mappings were not touched";
  EXPECT_EQ(read(space, 0x10000, 1), 1U);
  EXPECT_EQ(read(space, 0x50000, 1), 0xffU);

  ASSERT_TRUE(space.commit(change));
  EXPECT_EQ(mapper.trapped.size(), 4U);
  EXPECT_EQ(read(space, 0x50000, 1), 1U);
}

INSTANTIATE_TEST_SUITE_P(AtEachAnnouncement, AddressSpaceTrapRollback, testing::Values(1U, 2U, 3U));

TEST_F(AddressSpaceTraps, AMappingThatIsRefusedTakesTheAnnouncementsBack) {
  const WindowId id = add(space, mapped_window(0x10000, 0x4000, 0x100000));
  mapper.refused = 0x20000;
  ASSERT_FALSE(space.commit({{id}, {mapped_window(0x20000, 0x4000, 0x100000)}}));
  EXPECT_THAT(mapper.trapped, ElementsAre(GuestTrap{kMemory, 0x10000, 0x4000}));
  EXPECT_EQ(mapper.all().size(), 1U);
}

TEST_F(AddressSpaceTraps, AWindowThatIsNotAnnouncedAgainIsSoWithTheNextChange) {
  const WindowId id = add_unannounced();
  EXPECT_THAT(mapper.trapped, IsEmpty());
  EXPECT_EQ(read(space, 0x10000, 1), 1U) << "the window still answers";

  const WindowId other = add(space, trapped_window(0x30000, 0x1000));
  EXPECT_EQ(mapper.trapped.size(), 1U) << "a change of another window does not fail";
  mapper.untrappable = UINT64_MAX;
  remove(space, other);
  EXPECT_THAT(mapper.trapped, ElementsAre(GuestTrap{kMemory, 0x10000, 0x1000}));
  remove(space, id);
  EXPECT_THAT(mapper.trapped, IsEmpty());
}

TEST_F(AddressSpaceTraps, AWindowThatIsNotAnnouncedIsNotTakenBack) {
  const WindowId id = add_unannounced();
  mapper.order.clear();
  remove(space, id);
  EXPECT_THAT(mapper.order, IsEmpty());
}

TEST_F(AddressSpaceTraps, TheEndOfTheSpaceTakesEveryAnnouncementBack) {
  {
    AddressSpace ends(kLimit, &mapper, kPage);
    add(ends, trapped_window(0x10000, 0x1000));
    add(ends, mapped_window(0x20000, 0x1000, 0x100000));
  }
  EXPECT_THAT(mapper.trapped, IsEmpty());
}

TEST_F(AddressSpaceTraps, PortsAreAnnouncedAndNeverMapped) {
  AddressSpace ports(0x10000, &mapper, kPage, GuestSpace::Ports);
  const WindowId id = add(ports, mapped_window(0xc000, 0x1000, 0x100000));
  EXPECT_THAT(mapper.trapped, ElementsAre(GuestTrap{GuestSpace::Ports, 0xc000, 0x1000}));
  EXPECT_EQ(mapper.maps, 0U);
  EXPECT_THAT(ports.mappings(), IsEmpty());
  remove(ports, id);
  EXPECT_THAT(mapper.trapped, IsEmpty());
}

}  // namespace
}  // namespace passthru
