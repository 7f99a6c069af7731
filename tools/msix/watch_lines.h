// SPDX-License-Identifier: MIT
// Owns what `passthru msix watch` shows of a device between two looks: rates, latencies, changes,
// sorted, as a table and as JSON. Pure.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "irq/forward/forward_stats.h"
#include "irq/verdict.h"
#include "tools/json.h"

namespace passthru::tools {

/// A vector at one look.
struct WatchedVector {
  unsigned index = 0;
  uint64_t count = 0;                   ///< interrupts since some moment
  std::optional<EventfdOwner> owner{};  ///< empty: not known
  Verdict verdict = Verdict::Unused;
  bool damaged = false;
  std::optional<LatencyBuckets> latency{};  ///< counted since some moment
};

struct WatchSample {
  std::chrono::steady_clock::time_point time{};
  std::vector<WatchedVector> vectors{};  ///< by index
};

struct WatchLine {
  unsigned index = 0;
  double rate = 0;  ///< interrupts a second
  uint64_t count = 0;
  std::optional<EventfdOwner> owner{};
  Verdict verdict = Verdict::Unused;
  bool damaged = false;
  /// Between the looks, in ns: no more than this; nothing where none was timed.
  std::optional<uint64_t> p50{};
  std::optional<uint64_t> p99{};
  bool changed = false;  ///< it began or ceased to come, or its owner or verdict is another
};

enum class WatchOrder { Rate, Vector, Latency };

/// A vector that is not in `before`, or whose count has become less, counts from 0. What is damaged
/// is first: it does not come, and would be last. Then highest first, except for vectors.
std::vector<WatchLine> compare(const WatchSample& before, const WatchSample& now,
                               const std::vector<WatchLine>& lines_before, WatchOrder order);

/// In that order.
void sort_lines(std::vector<WatchLine>& lines, WatchOrder order);

/// The upper end of the bucket that has the share's sample; nothing without samples.
std::optional<uint64_t> percentile(const LatencyBuckets& buckets, double share);

/// Whether there is anything to tell: it came once, something is wrong with it, or has changed.
[[nodiscard]] bool is_worth_telling(const WatchLine& line);

/// One round as JSON (docs/json.md), its vectors in ascending order; those that are not worth
/// telling are left out.
Json watch_json(const std::string& device, const WatchSample& before, const WatchSample& now,
                const std::vector<WatchLine>& lines);

/// A table with a heading, of at most `most` lines; the last then tells how many are left out. A
/// vector that never came is left out unless something is wrong with it. `highlight` marks what has
/// changed, with the codes of a terminal.
std::string table_of(const std::vector<WatchLine>& lines, bool highlight, size_t most = SIZE_MAX);

}  // namespace passthru::tools
