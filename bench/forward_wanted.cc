// SPDX-License-Identifier: MIT
// The target of each ratio of forward_bench, and its computation from the measurements.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "bench/forward_report.h"

namespace passthru::bench {
namespace {

constexpr double kNone = std::numeric_limits<double>::quiet_NaN();

/// Returns, for each measure, the ratio of our cost to the peer's, or with `at_least` of the peer's
/// to ours.
Wanted beside(const Results& results, std::string what, Kind peer, const Load& load, bool at_least,
              double limit) {
  const Cost ours = results.cost(Kind::Forwarder, load);
  const Cost theirs = results.cost(peer, load);
  const auto ratio = [&](double mine, double other) {
    if (!std::isfinite(mine) || !std::isfinite(other)) return kNone;
    return at_least ? other / mine : mine / other;
  };
  return {.what = std::move(what),
          .beside = to_string(peer),
          .at_least = at_least,
          .limit = limit,
          .found = ratio(ours.whole(), theirs.whole()),
          .after = ratio(ours.after, theirs.after),
          .thread = ratio(ours.thread, theirs.thread)};
}

void add_trips(const Results& results, std::vector<Wanted>& all) {
  for (const SinkKind sink : kSinks) {
    const auto ours = results.trips.find({Kind::Forwarder, sink});
    const auto theirs = results.trips.find({Kind::EpollEdge, sink});
    if (ours == results.trips.end() || theirs == results.trips.end()) continue;
    const auto add = [&](const char* which, double mine, double other) {
      all.push_back(
          {.what = fmt::format("round trip {}, one in flight, sink {}", which, to_string(sink)),
           .beside = to_string(Kind::EpollEdge),
           .at_least = false,
           .limit = 1,
           .found = mine / other,
           .after = kNone,
           .thread = kNone});
    };
    add("p50", ours->second.p50, theirs->second.p50);
    add("p99", ours->second.p99, theirs->second.p99);
  }
}

/// Returns the highest cost of an event among `loads`, as a ratio to that of `base`.
Wanted dearest(const Results& results, std::string what, const std::vector<Load>& loads,
               const Load& base) {
  Wanted wanted{.what = std::move(what),
                .beside = "itself at 64",
                .at_least = false,
                .limit = 1.25,
                .found = 0,
                .after = 0,
                .thread = kNone};
  if (loads.empty()) wanted.found = wanted.after = kNone;
  const Cost own = results.cost(Kind::Forwarder, base);
  for (const Load& load : loads) {
    const Cost cost = results.cost(Kind::Forwarder, load);
    wanted.found = std::max(wanted.found, cost.whole() / own.whole());
    wanted.after = std::max(wanted.after, cost.after / own.after);
  }
  return wanted;
}

}  // namespace

Cost Results::cost(Kind kind, const Load& load) const {
  const auto found = costs.find({kind, load.sink, load.sources, load.burst});
  return found == costs.end() ? Cost{kNone, kNone, kNone, kNone, kNone, kNone} : found->second;
}

std::vector<Wanted> wanted_of(const Results& results) {
  std::vector<Wanted> all;
  struct Row {
    Kind peer;
    bool at_least;
    double limit;
  };
  for (const Row& row : {Row{Kind::EpollLevel, true, 2.5}, Row{Kind::EpollEdge, true, 1.2},
                         Row{Kind::BareWrite, false, 1.15}}) {
    for (const unsigned burst : {64U, 512U}) {
      all.push_back(beside(results, fmt::format("CPU of an event, bursts of {}", burst), row.peer,
                           burst_of(burst), row.at_least, row.limit));
    }
  }
  add_trips(results, all);
  all.push_back(beside(results, "CPU of an event, one in flight, sink a call", Kind::EpollEdge,
                       one_of(64, SinkKind::Call), false, 1));
  std::vector<Load> bursts;
  std::vector<Load> ones;
  for (const auto& [key, cost] : results.costs) {
    const auto [kind, sink, sources, burst] = key;
    if (kind != Kind::Forwarder || sink != SinkKind::Eventfd) continue;
    if (burst == sources) bursts.push_back(burst_of(sources));
    if (burst == 1) ones.push_back(one_of(sources));
  }
  all.push_back(dearest(results, "1 to 4,096 sources, all at once", bursts, burst_of(64)));
  std::erase_if(bursts, [](const Load& load) { return load.sources < 64; });
  all.push_back(dearest(results, "64 to 4,096 sources, all at once", bursts, burst_of(64)));
  all.push_back(dearest(results, "1 to 4,096 sources, one at a time", ones, one_of(64)));
  const Cost own = results.cost(Kind::Forwarder, burst_of(64));
  all.push_back({.what = "system calls of an event, bursts of 64",
                 .beside = "besides the write",
                 .at_least = false,
                 .limit = 0.3,
                 .found = own.calls,
                 .after = kNone,
                 .thread = own.thread_calls});
  return all;
}

}  // namespace passthru::bench
