// SPDX-License-Identifier: MIT
#include "tools/msix/watch_lines.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <numeric>
#include <sstream>
#include <utility>

#include "tools/printable.h"
#include "tools/table.h"

namespace passthru::tools {
namespace {

template <class T>
const T* find(const std::vector<T>& all, unsigned index) {
  const auto found =
      std::find_if(all.begin(), all.end(), [&](const T& each) { return each.index == index; });
  return found == all.end() ? nullptr : &*found;
}

LatencyBuckets between(const LatencyBuckets& now, const std::optional<LatencyBuckets>& before) {
  LatencyBuckets difference = now;
  if (!before) return difference;
  for (size_t i = 0; i < difference.size(); ++i) {
    difference[i] -= std::min(difference[i], (*before)[i]);
  }
  return difference;
}

bool is_new(const WatchLine& line, const WatchLine* before) {
  if (before == nullptr) return false;
  const bool began_or_ceased = before->rate && (line.rate > 0.0) != (before->rate > 0.0);
  return began_or_ceased || line.owner != before->owner || line.verdict != before->verdict;
}

std::string time_text(const std::optional<uint64_t>& ns) {
  if (!ns) return "-";
  if (*ns < 10'000) return fmt::format("{} ns", *ns);
  if (*ns < 10'000'000) return fmt::format("{} us", *ns / 1000);
  return fmt::format("{} ms", *ns / 1'000'000);
}

std::string rate_text(const std::optional<double>& rate) {
  return rate ? fmt::format("{:.1f}", *rate) : "-";
}

}  // namespace

std::optional<uint64_t> percentile(const LatencyBuckets& buckets, double share) {
  const uint64_t sum = std::accumulate(buckets.begin(), buckets.end(), uint64_t{0});
  if (sum == 0) return std::nullopt;
  const auto wanted = static_cast<uint64_t>(std::ceil(share * static_cast<double>(sum)));
  uint64_t seen = 0;
  size_t bucket = 0;
  for (; bucket + 1 < buckets.size(); ++bucket) {
    seen += buckets[bucket];
    if (seen >= wanted) break;
  }
  return uint64_t{2} << bucket;
}

std::vector<WatchLine> compare(const WatchSample& before, const WatchSample& now,
                               const std::vector<WatchLine>& lines_before, WatchOrder order) {
  const double seconds = std::chrono::duration<double>(now.time - before.time).count();
  std::vector<WatchLine> lines;
  for (const WatchedVector& vector : now.vectors) {
    const WatchedVector* const earlier = find(before.vectors, vector.index);
    const bool goes_on = earlier != nullptr && earlier->count <= vector.count;
    const uint64_t came = vector.count - (goes_on ? earlier->count : 0);
    WatchLine line{.index = vector.index,
                   .count = vector.count,
                   .owner = vector.owner,
                   .verdict = vector.verdict,
                   .damaged = vector.damaged};
    if (seconds > 0) line.rate = static_cast<double>(came) / seconds;
    if (vector.latency) {
      const auto latency =
          between(*vector.latency, earlier == nullptr ? std::nullopt : earlier->latency);
      line.p50 = percentile(latency, 0.5);
      line.p99 = percentile(latency, 0.99);
    }
    line.changed = is_new(line, find(lines_before, line.index));
    lines.push_back(line);
  }
  sort_lines(lines, order);
  return lines;
}

void sort_lines(std::vector<WatchLine>& lines, WatchOrder order) {
  std::sort(lines.begin(), lines.end(), [order](const WatchLine& one, const WatchLine& other) {
    if (one.damaged != other.damaged) return one.damaged;
    switch (order) {
      case WatchOrder::Rate:
        if (one.rate != other.rate) return one.rate > other.rate;
        break;
      case WatchOrder::Latency:
        if (one.p99 != other.p99) return one.p99 > other.p99;
        break;
      case WatchOrder::Vector:
        break;
    }
    return one.index < other.index;
  });
}

bool is_worth_telling(const WatchLine& line) {
  const bool quiet = line.verdict == Verdict::Unused || line.verdict == Verdict::NotSeen ||
                     line.verdict == Verdict::Ok;
  return line.count != 0 || line.changed || !quiet;
}

Json watch_json(const std::string& device, const WatchSample& before, const WatchSample& now,
                const std::vector<WatchLine>& lines) {
  std::map<unsigned, Json> vectors;
  for (const WatchLine& line : lines) {
    if (!is_worth_telling(line)) continue;
    vectors[line.index] = {{"index", line.index},
                           {"rate", json_or_null(line.rate)},
                           {"count", line.count},
                           {"owner", line.owner ? Json(to_string(*line.owner)) : Json()},
                           {"p50_ns", json_or_null(line.p50)},
                           {"p99_ns", json_or_null(line.p99)},
                           {"verdict", to_string(line.verdict)},
                           {"changed", line.changed}};
  }
  Json told = Json::array();
  for (auto& [index, vector] : vectors) told.push_back(std::move(vector));
  const auto time = std::chrono::nanoseconds(now.time.time_since_epoch());
  return {{"device", device},
          {"time_ns", time.count()},
          {"seconds", std::chrono::duration<double>(now.time - before.time).count()},
          {"vectors", std::move(told)}};
}

std::string table_of(const std::vector<WatchLine>& lines, bool highlight, size_t most,
                     std::optional<size_t> width) {
  Table table({{.heading = "VECTOR", .right = true},
               {.heading = "RATE/s", .right = true, .width = 10},
               {.heading = "COUNT", .right = true, .width = 12},
               {.heading = "VIA", .rank = 1, .width = 9},
               {.heading = "p50 <", .right = true, .rank = 3, .width = 8},
               {.heading = "p99 <", .right = true, .rank = 2, .width = 8},
               {.heading = "VERDICT", .least = 10}});
  const auto told =
      static_cast<size_t>(std::count_if(lines.begin(), lines.end(), is_worth_telling));
  const size_t room = most < 2 ? 0 : most - 1;  // below the heading
  const size_t shown = told <= room ? told : room == 0 ? 0 : room - 1;
  std::vector<bool> marked = {false};  // the heading
  for (const WatchLine& line : lines) {
    if (!is_worth_telling(line)) continue;
    if (marked.size() > shown) break;
    marked.push_back(highlight && line.changed);
    table.add({std::to_string(line.index), rate_text(line.rate), std::to_string(line.count),
               line.owner ? to_string(*line.owner) : "-", time_text(line.p50), time_text(line.p99),
               to_string(line.verdict)});
  }
  std::istringstream rows(table.str(width));
  std::string text;
  std::string row;
  for (size_t i = 0; std::getline(rows, row); ++i)
    text += marked[i] ? fmt::format("\x1b[7m{}\x1b[0m\n", row) : row + '\n';
  if (shown < told) text += fmt::format("{:>6}  {} more\n", "...", told - shown);
  return text;
}

std::string title_of(const std::string& device, WatchOrder order, bool paused,
                     std::optional<size_t> width) {
  constexpr std::array kOrders = {"rate", "vector", "latency"};
  constexpr const char* kKeys = "   space: pause, s: sort, q: end";
  const std::string title = fmt::format("{}  by {}{}", device, kOrders[static_cast<size_t>(order)],
                                        paused ? ", paused" : "");
  if (!width) return title + kKeys;
  return columns_of(title + kKeys) <= *width ? title + kKeys : cut_to(title, *width);
}

std::string plain_lines(const std::vector<WatchLine>& lines) {
  std::string text;
  for (const WatchLine& line : lines) {
    const bool told = line.rate ? line.rate > 0.0 || line.changed : is_worth_telling(line);
    if (!told) continue;
    text += fmt::format("vector {} rate {} count {} via {} p50_ns {} p99_ns {} verdict {}\n",
                        line.index, rate_text(line.rate), line.count,
                        line.owner ? to_string(*line.owner) : "-",
                        line.p50 ? std::to_string(*line.p50) : "-",
                        line.p99 ? std::to_string(*line.p99) : "-", to_string(line.verdict));
  }
  return text;
}

}  // namespace passthru::tools
