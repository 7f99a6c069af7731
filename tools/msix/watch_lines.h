// SPDX-License-Identifier: MIT
// The lines of `passthru msix watch` from two samples of a device: rates, latencies and changes,
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

/// A vector in a sample.
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
  std::optional<double> rate{};  ///< interrupts a second; nothing after the first look
  uint64_t count = 0;
  std::optional<EventfdOwner> owner{};
  Verdict verdict = Verdict::Unused;
  bool damaged = false;
  /// Upper limits of the latencies between the samples, in ns; nothing if no interrupt was timed.
  std::optional<uint64_t> p50{};
  std::optional<uint64_t> p99{};
  bool changed = false;  ///< it started or stopped firing, or its owner or verdict changed
};

enum class WatchOrder { Rate, Vector, Latency };

/// Compares two samples. A sample with itself, for a first look, has no rates. A vector that is not
/// in `before`, or whose count has decreased, counts from 0. Damaged vectors are first, because
/// their rates would put them last. Then the highest value is first, or the lowest vector for
/// WatchOrder::Vector.
std::vector<WatchLine> compare(const WatchSample& before, const WatchSample& now,
                               const std::vector<WatchLine>& lines_before, WatchOrder order);

/// Sorts in the order of `compare`.
void sort_lines(std::vector<WatchLine>& lines, WatchOrder order);

/// Returns the upper end of the bucket that has the percentile's sample; nothing without samples.
std::optional<uint64_t> percentile(const LatencyBuckets& buckets, double share);

/// Returns whether the vector has ever fired, has changed, or is masked or faulty.
[[nodiscard]] bool is_worth_telling(const WatchLine& line);

/// Returns a sample as JSON (docs/json.md): the vectors that are worth telling, ascending.
Json watch_json(const std::string& device, const WatchSample& before, const WatchSample& now,
                const std::vector<WatchLine>& lines);

/// Returns a table of the vectors that are worth telling, with a heading, of at most `most` lines.
/// If vectors do not fit, the last line says how many. `width` is as for Table. `highlight` marks
/// changed vectors with the codes of a terminal.
std::string table_of(const std::vector<WatchLine>& lines, bool highlight, size_t most = SIZE_MAX,
                     std::optional<size_t> width = {});
/// Returns the title above the table. Leaves out the keys if they do not fit.
std::string title_of(const std::string& device, WatchOrder order, bool paused,
                     std::optional<size_t> width);

/// Returns lines for a pipe: of vectors that fired or changed; after the first look, of those that
/// are worth telling.
std::string plain_lines(const std::vector<WatchLine>& lines);

}  // namespace passthru::tools
