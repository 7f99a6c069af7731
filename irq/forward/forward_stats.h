// SPDX-License-Identifier: MIT
// What a forwarder counts: per source, as a histogram of latencies, and as a trace. One thread
// writes, any thread reads, no thread waits.
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

namespace passthru {

/// A counter with one writer: an addition costs a load and a store.
class Counter {
 public:
  void add(uint64_t count = 1) { set(get() + count); }
  void set(uint64_t value) { value_.store(value, std::memory_order_relaxed); }
  [[nodiscard]] uint64_t get() const { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<uint64_t> value_ = 0;
};

/// Bucket b counts latencies of [2^b, 2^(b+1)) ns. The first also counts 0 ns, the last everything
/// above 2 s.
using LatencyBuckets = std::array<uint64_t, 32>;

class LatencyHistogram {
 public:
  void add(std::chrono::nanoseconds latency) {
    const auto ns = static_cast<uint64_t>(std::max<int64_t>(latency.count(), 1));
    const auto bucket = static_cast<size_t>(std::bit_width(ns)) - 1;
    buckets_[std::min(bucket, buckets_.size() - 1)].add();
  }
  [[nodiscard]] LatencyBuckets read() const {
    LatencyBuckets counts{};
    for (size_t i = 0; i < counts.size(); ++i) counts[i] = buckets_[i].get();
    return counts;
  }

 private:
  std::array<Counter, std::tuple_size_v<LatencyBuckets>> buckets_;
};

/// Counts of one source since it was added.
struct SourceStats {
  uint64_t delivered = 0;
  /// Signals merged into a later delivery, because they came faster than max_per_second.
  uint64_t held = 0;
  /// Deliveries that found the sink's eventfd full: its reader has not read the earlier signals
  /// either.
  uint64_t sink_full = 0;
  /// Writes to the sink that failed for another reason.
  uint64_t sink_failed = 0;
  /// Times that the poller reported a signal but the counter was 0 (SourceKind::Counted).
  uint64_t spurious = 0;
  /// Times that the source was armed again, because the kernel had stopped polling it.
  uint64_t rearmed = 0;
  /// Time from when the driving thread saw the signal, or a held signal was due, until the sink had
  /// it. Counted while observed.
  LatencyBuckets latency_log2_ns{};

  SourceStats& operator+=(const SourceStats& other) {
    delivered += other.delivered;
    held += other.held;
    sink_full += other.sink_full;
    sink_failed += other.sink_failed;
    spurious += other.spurious;
    rearmed += other.rearmed;
    for (size_t i = 0; i < latency_log2_ns.size(); ++i) {
      latency_log2_ns[i] += other.latency_log2_ns[i];
    }
    return *this;
  }
};

/// Counts of all sources, including removed sources.
struct ForwarderStats {
  unsigned sources = 0;
  uint64_t delivered = 0;
  uint64_t rearmed = 0;
  uint64_t system_calls = 0;  ///< of the poller: reads and writes of eventfds do not count
  uint64_t failures = 0;      ///< of these calls, those that failed; each is retried
};

/// A delivery of an observed source.
struct TraceEntry {
  std::chrono::steady_clock::time_point time;  ///< when the sink had it
  uint64_t label = 0;
  std::chrono::nanoseconds latency{};  ///< how long delivery took (SourceStats::latency_log2_ns)
  friend bool operator==(const TraceEntry&, const TraceEntry&) = default;
};

/// The entries of a trace from some sequence number on.
struct TraceSlice {
  std::vector<TraceEntry> entries{};  ///< oldest first
  uint64_t next = 0;                  ///< the number of the next entry to come
  uint64_t lost = 0;                  ///< requested entries that were overwritten
};

/// The newest entries of a trace; each new entry overwrites the oldest.
class TraceRing {
 public:
  /// A power of two.
  static constexpr size_t kEntries = 4096;

  void add(const TraceEntry& entry) {
    const uint64_t number = begun_.load(std::memory_order_relaxed);
    begun_.store(number + 1, std::memory_order_relaxed);
    // A reader that sees any word of the new entry also sees the new `begun_`.
    Words& words = words_[number % kEntries];
    words.time.store(entry.time.time_since_epoch().count(), std::memory_order_release);
    words.label.store(entry.label, std::memory_order_release);
    words.latency.store(entry.latency.count(), std::memory_order_release);
    done_.store(number + 1, std::memory_order_release);
  }

  /// Returns the entries with sequence number `from` or higher, counted from 0, that are still
  /// stored. Entries that are overwritten during the call count as lost.
  [[nodiscard]] TraceSlice since(uint64_t from) const {
    const uint64_t end = done_.load(std::memory_order_acquire);
    from = std::min(from, end);
    const uint64_t first = std::max(from, oldest(end));
    std::vector<TraceEntry> entries;
    entries.reserve(end - first);
    for (uint64_t number = first; number < end; ++number) {
      const Words& words = words_[number % kEntries];
      const std::chrono::steady_clock::duration time{words.time.load(std::memory_order_acquire)};
      entries.push_back(
          {.time = std::chrono::steady_clock::time_point(time),
           .label = words.label.load(std::memory_order_acquire),
           .latency = std::chrono::nanoseconds(words.latency.load(std::memory_order_acquire))});
    }
    const uint64_t begun = begun_.load(std::memory_order_relaxed);
    const uint64_t sound = std::min(end, std::max(first, oldest(begun)));
    entries.erase(entries.begin(), entries.begin() + static_cast<std::ptrdiff_t>(sound - first));
    return {.entries = std::move(entries), .next = end, .lost = sound - from};
  }
  [[nodiscard]] std::vector<TraceEntry> read() const { return since(0).entries; }

 private:
  struct Words {
    std::atomic<int64_t> time = 0;
    std::atomic<uint64_t> label = 0;
    std::atomic<int64_t> latency = 0;
  };
  static uint64_t oldest(uint64_t end) { return end - std::min<uint64_t>(end, kEntries); }

  std::array<Words, kEntries> words_;
  std::atomic<uint64_t> begun_ = 0;
  std::atomic<uint64_t> done_ = 0;
};

}  // namespace passthru
