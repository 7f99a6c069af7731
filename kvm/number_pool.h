// SPDX-License-Identifier: MIT
// Owns which numbers of a range are in use: KVM's memory slots and GSIs. A pure value, not
// thread-safe; KvmHypervisor guards it.
#pragma once

#include <cstdint>
#include <optional>
#include <set>

namespace passthru {

/// Numbers [first, first + count). The lowest free one is handed out first, so that the tables
/// indexed by them stay short.
class NumberPool {
 public:
  NumberPool(uint32_t first, uint32_t count) : next_(first), left_(count) {}

  /// Nothing when all are taken.
  std::optional<uint32_t> take() {
    if (!returned_.empty()) return returned_.extract(returned_.begin()).value();
    if (left_ == 0) return std::nullopt;
    --left_;
    return next_++;
  }
  /// `number` was taken and is taken no more.
  void give_back(uint32_t number) { returned_.insert(number); }

 private:
  uint32_t next_;  ///< the lowest number that was never taken
  uint32_t left_;  ///< how many were never taken
  std::set<uint32_t> returned_;
};

}  // namespace passthru
