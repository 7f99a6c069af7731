// SPDX-License-Identifier: MIT
// The forwarder's histogram and trace: buckets by powers of two, the newest entries only, and never
// half an entry.
#include "irq/forward/forward_stats.h"

#include <gtest/gtest.h>

#include <chrono>
#include <thread>

namespace passthru {
namespace {

using std::chrono::nanoseconds;

TEST(ForwarderHistogram, CountsByPowersOfTwo) {
  LatencyHistogram histogram;
  for (const int64_t ns : {-5, 0, 1, 2, 3, 4, 1023, 1024}) histogram.add(nanoseconds(ns));
  histogram.add(std::chrono::hours(1));
  const LatencyBuckets buckets = histogram.read();
  EXPECT_EQ(buckets[0], 3U);
  EXPECT_EQ(buckets[1], 2U);
  EXPECT_EQ(buckets[2], 1U);
  EXPECT_EQ(buckets[9], 1U);
  EXPECT_EQ(buckets[10], 1U);
  EXPECT_EQ(buckets[31], 1U);
}

TraceEntry entry(uint64_t number) {
  return {std::chrono::steady_clock::time_point(nanoseconds(number)), number};
}

TEST(ForwarderTrace, KeepsTheNewestInOrder) {
  TraceRing ring;
  EXPECT_TRUE(ring.read().empty());
  ring.add(entry(1));
  ring.add(entry(2));
  EXPECT_EQ(ring.read(), (std::vector{entry(1), entry(2)}));
  for (uint64_t i = 3; i <= TraceRing::kEntries + 10; ++i) ring.add(entry(i));
  const auto entries = ring.read();
  ASSERT_EQ(entries.size(), TraceRing::kEntries);
  EXPECT_EQ(entries.front(), entry(11));
  EXPECT_EQ(entries.back(), entry(TraceRing::kEntries + 10));
}

TEST(ForwarderTrace, AReaderSeesWholeEntriesInOrderWhileTheyAreWritten) {
  TraceRing ring;
  std::atomic<bool> stop = false;
  std::thread writer([&] {
    for (uint64_t i = 1; !stop; ++i) ring.add(entry(i));
  });
  uint64_t seen = 0;
  const auto end = std::chrono::steady_clock::now() + std::chrono::minutes(1);
  while (seen < 50 * TraceRing::kEntries && std::chrono::steady_clock::now() < end) {
    const auto entries = ring.read();
    for (size_t i = 0; i < entries.size(); ++i) {
      if (entries[i] == entry(entries[0].label + i)) continue;
      ADD_FAILURE() << entries[i].label << " at " << i << " after " << entries[0].label;
      break;
    }
    if (!entries.empty()) {
      EXPECT_GE(entries.back().label, seen);
      seen = entries.back().label;
    }
  }
  stop = true;
  writer.join();
  EXPECT_GE(seen, 50 * TraceRing::kEntries) << "no entries arrived";
}

}  // namespace
}  // namespace passthru
