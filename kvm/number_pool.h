// SPDX-License-Identifier: MIT
// The numbers of a range that are in use: KVM's memory slots and GSIs. A pure value, not
// thread-safe; KvmHypervisor guards it.
#pragma once

#include <cstdint>
#include <optional>
#include <set>

namespace passthru {

/// Numbers [first, first + count). Hands out the lowest free number first, so that the tables
/// indexed by them stay short.
class NumberPool {
 public:
  NumberPool(uint32_t first, uint32_t count) : next_(first), left_(count) {}

  /// Returns the lowest free number, or nothing if all are in use.
  std::optional<uint32_t> take() {
    if (!returned_.empty()) return returned_.extract(returned_.begin()).value();
    if (left_ == 0) return std::nullopt;
    --left_;
    return next_++;
  }
  /// Returns `number`, which `take` gave out, to the pool.
  void give_back(uint32_t number) { returned_.insert(number); }

 private:
  uint32_t next_;  ///< the lowest number that was never taken
  uint32_t left_;  ///< how many were never taken
  std::set<uint32_t> returned_;
};

}  // namespace passthru
