// SPDX-License-Identifier: MIT
// Owns the guest's mappings in tests: fails the calls that a test names, and the test if the
// contract of GuestMapper is broken.
#pragma once

#include <gtest/gtest.h>

#include <map>
#include <set>
#include <vector>

#include "mmap/guest_mapper.h"

namespace passthru {

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
    EXPECT_EQ(mapped[mapping.address], mapping) << "only what was mapped is unmapped, as a whole";
    mapped.erase(mapping.address);
    ++unmaps;
    return {};
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
  unsigned calls_to_fail = 0;  ///< the nth from now; 0: none
  uint64_t refused = UINT64_MAX;
  std::set<uint64_t> kept;  ///< addresses that `unmap` refuses
};

}  // namespace passthru
