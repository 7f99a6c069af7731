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
};

}  // namespace passthru
