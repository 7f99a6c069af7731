// SPDX-License-Identifier: MIT
// Tests of which physical table entries count as faulty.
#include "irq/entry_fault.h"

#include <gtest/gtest.h>

namespace passthru {
namespace {

constexpr MsixEntry kRemapped{0xfee0'0018, 0, 0, 0};
constexpr MsixEntry kPlain{0xfee0'1000, 0, 0x41, 0};

TEST(EntryFault, FollowsFromTheEntryAlone) {
  struct Case {
    const char* name;
    MsixEntry found;
    EntryFault fault;
  };
  const Case cases[] = {
      {"remapped", kRemapped, EntryFault::None},
      {"plain", kPlain, EntryFault::None},
      {"AMD's remapped format, index 3", {0xfee0'0000, 0, 3, 0}, EntryFault::None},
      {"zeroed", {0, 0, 0, 0}, EntryFault::Empty},
      {"reset", {0, 0, 0, 1}, EntryFault::Empty},
      {"no decode", {~0U, ~0U, ~0U, ~0U}, EntryFault::NoAnswer},
      {"memory", {0x1000, 0, 0x41, 0}, EntryFault::NoMessage},
      {"address zeroed", {0, 0, 0x41, 0}, EntryFault::NoMessage},
      {"high address", {0xfee0'1000, 1, 0x41, 0}, EntryFault::NoMessage},
      {"masked", {0xfee0'1000, 0, 0x41, 1}, EntryFault::Masked},
      {"masked, and memory", {0x1000, 0, 0x41, 1}, EntryFault::NoMessage},
  };
  for (const Case& c : cases) EXPECT_EQ(entry_fault(c.found), c.fault) << c.name;
}

TEST(EntryFault, AChangeIsOneUnlessTheHostMovedTheInterrupt) {
  struct Case {
    const char* name;
    MsixEntry before;
    MsixEntry found;
    EntryFault fault;
  };
  const Case cases[] = {
      {"the same", kRemapped, kRemapped, EntryFault::None},
      {"another remapping index", kRemapped, {0xfee0'0038, 0, 0, 0}, EntryFault::Changed},
      {"plain, but was remapped", kRemapped, kPlain, EntryFault::Changed},
      {"remapped, but was plain", kPlain, kRemapped, EntryFault::Changed},
      {"another CPU without remapping", kPlain, {0xfee0'2000, 0, 0x42, 0}, EntryFault::None},
      {"moving to another CPU", kPlain, {0xfee0'2000, 0, 0x42, 1}, EntryFault::Masked},
      {"data of an invalid interrupt", kPlain, {0xfee0'1000, 0, 0, 0}, EntryFault::Changed},
      {"changed and masked", kRemapped, {0xfee0'0038, 0, 0, 1}, EntryFault::Changed},
      {"zeroed", kPlain, {0, 0, 0, 0}, EntryFault::Empty},
  };
  for (const Case& c : cases) EXPECT_EQ(entry_fault(c.found, c.before), c.fault) << c.name;
}

}  // namespace
}  // namespace passthru
