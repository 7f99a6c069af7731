// SPDX-License-Identifier: MIT
// The guest's mappings in tests. Fails the calls that a test chooses, and fails the test if the
// contract of GuestMapper is broken.
#pragma once

#include <gtest/gtest.h>

#include <map>
#include <set>
#include <vector>

#include "mmap/guest_mapper.h"

namespace passthru {

/// A range that was announced.
struct GuestTrap {
  GuestSpace space = GuestSpace::Memory;
  uint64_t address = 0;
  uint64_t size = 0;
  auto operator<=>(const GuestTrap&) const = default;  // NOLINT(modernize-use-nullptr): false
};

class FakeMapper : public GuestMapper {
 public:
  Result<void> map(const GuestMapping& mapping) override {
    if (calls_to_fail > 0 && ++calls == calls_to_fail) return fail(ENOSPC, "map");
    if (refused == mapping.address) return fail(EEXIST, "map");
    for (const auto& [address, there] : mapped) {
      EXPECT_FALSE(address < mapping.address + mapping.size &&
                   mapping.address < address + there.size)
          << "mapped twice";
    }
    mapped[mapping.address] = mapping;
    ++maps;
    return {};
  }
  Result<void> unmap(const GuestMapping& mapping) override {
    if (kept.contains(mapping.address)) return fail(ENOMEM, "unmap");
    EXPECT_EQ(mapped[mapping.address], mapping) << "unmaps exactly one whole mapping";
    mapped.erase(mapping.address);
    ++unmaps;
    return {};
  }
  Result<void> trap(GuestSpace space, uint64_t address, uint64_t size) override {
    if (traps_to_fail > 0 && --traps_to_fail == 0) return fail(EEXIST, "trap");
    if (untrappable == address) return fail(EEXIST, "trap");
    trapped.insert({space, address, size});
    order.push_back(static_cast<int64_t>(address));
    return {};
  }
  void untrap(GuestSpace space, uint64_t address, uint64_t size) override {
    const auto found = trapped.find({space, address, size});
    ASSERT_NE(found, trapped.end()) << "takes back a range that was not announced";
    trapped.erase(found);
    order.push_back(-static_cast<int64_t>(address));
  }
  std::vector<GuestMapping> all() const {
    std::vector<GuestMapping> list;
    for (const auto& [address, mapping] : mapped) list.push_back(mapping);
    return list;
  }
  std::map<uint64_t, GuestMapping> mapped;
  unsigned maps = 0;
  unsigned unmaps = 0;
  unsigned calls = 0;
  unsigned calls_to_fail = 0;  ///< the nth call from now; 0: no call
  uint64_t refused = UINT64_MAX;
  std::set<uint64_t> kept;  ///< addresses that `unmap` refuses
  std::multiset<GuestTrap> trapped;
  std::vector<int64_t> order;         ///< addresses that were announced, and taken back (negative)
  unsigned traps_to_fail = 0;         ///< the nth announcement from now, once; 0: no announcement
  uint64_t untrappable = UINT64_MAX;  ///< the address that `trap` refuses
};

}  // namespace passthru
