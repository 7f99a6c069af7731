// SPDX-License-Identifier: MIT
// The tables and ratios. They inform: no ratio of times is a failure.
#include "bench/forward_report.h"

#include <fmt/format.h>
#include <sys/utsname.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>
#include <thread>

namespace passthru::bench {
namespace {

std::string number(double value, int digits = 0) {
  return std::isfinite(value) ? fmt::format("{:.{}f}", value, digits) : "-";
}

std::string system_name() {
  utsname name{};
  ::uname(&name);
  return fmt::format("Linux {}", name.release);
}

void print_costs(const Results& results, SinkKind sink) {
  const std::vector<Load> loads = {one_of(64, sink), burst_of(64, sink), burst_of(512, sink)};
  fmt::print("\nCPU time of an event, ns, sink {}\n{:34}{:^24}{:^24}{}\n{:34}", to_string(sink), "",
             "whole", "after the burst", sink == SinkKind::Eventfd ? " thread's own" : "",
             "burst of");
  fmt::print("{:>8}{:>8}{:>8}{:>8}{:>8}{:>8}", 1, 64, 512, 1, 64, 512);
  fmt::print("{}\n", sink == SinkKind::Eventfd ? "      64     512" : "");
  for (const Kind kind : kKinds) {
    fmt::print("{:34}", bench::to_string(kind));
    for (const Load& load : loads) fmt::print("{:>8}", number(results.cost(kind, load).whole()));
    for (const Load& load : loads) fmt::print("{:>8}", number(results.cost(kind, load).after));
    if (sink == SinkKind::Eventfd) {
      for (size_t i : {1U, 2U}) fmt::print("{:>8}", number(results.cost(kind, loads[i]).thread));
    }
    fmt::print("\n");
  }
}

void print_sizes(const Results& results, const char* title, bool at_once) {
  fmt::print("\n{}\n{:34}", title, "sources");
  std::vector<Load> loads;
  for (const auto& [key, cost] : results.costs) {
    const auto [kind, sink, sources, burst] = key;
    if (kind != Kind::BareWrite || sink != SinkKind::Eventfd) continue;
    if (burst == (at_once ? sources : 1)) loads.push_back({sources, burst});
  }
  for (const Load& load : loads) fmt::print("{:>8}", load.sources);
  fmt::print("\n");
  for (const Kind kind : kKinds) {
    fmt::print("{:34}", bench::to_string(kind));
    for (const Load& load : loads) fmt::print("{:>8}", number(results.cost(kind, load).whole()));
    fmt::print("\n");
  }
}

void print_others(const Results& results) {
  fmt::print("\nRound trip, ns, one event in flight   eventfd: p50     p99   call: p50     p99\n");
  for (const Kind kind : kKinds) {
    if (!results.trips.contains({kind, SinkKind::Eventfd})) continue;
    const RoundTrip& eventfd = results.trips.at({kind, SinkKind::Eventfd});
    const RoundTrip& call = results.trips.at({kind, SinkKind::Call});
    fmt::print("{:34}{:>17}{:>8}{:>12}{:>8}\n", bench::to_string(kind), number(eventfd.p50),
               number(eventfd.p99), number(call.p50), number(call.p99));
  }
  fmt::print(
      "\nSystem calls of an event besides the write, bursts of 64 and 512\n"
      "{:34}  one thread      two threads\n",
      "");
  for (const Kind kind : kKinds) {
    const Cost few = results.cost(kind, burst_of(64));
    const Cost many = results.cost(kind, burst_of(512));
    fmt::print("{:34}{:>7}{:>7}{:>10}{:>7}\n", bench::to_string(kind), number(few.calls, 3),
               number(many.calls, 3), number(few.thread_calls, 3), number(many.thread_calls, 3));
  }
  const Change& change = results.change;
  fmt::print(
      "\nWith 64 other sources of 1,000 events a second each, us: "
      "add p50 {:.1f}, p99 {:.1f}; remove p50 {:.1f}, p99 {:.1f}\n",
      change.add_p50 / 1e3, change.add_p99 / 1e3, change.remove_p50 / 1e3, change.remove_p99 / 1e3);
}

}  // namespace

void print(const Results& results) {
  fmt::print(
      "{}, {} CPUs; each number is the minimum of {} rounds\n\n"
      "whole            to signal and to forward, less the cost of signalling an unpolled eventfd\n"
      "after the burst  from when all is signalled; leaves out what the kernel does for a poller\n"
      "                 when the signalling write(2) returns\n"
      "thread's own     CPU time of the forwarding thread, while another thread signals\n",
      system_name(), std::thread::hardware_concurrency(), results.rounds);
  for (const SinkKind sink : kSinks) print_costs(results, sink);
  print_sizes(results, "CPU time of an event, ns, whole, all sources at once", true);
  print_sizes(results, "CPU time of an event, ns, whole, one source at a time", false);
  print_others(results);

  fmt::print("\n{:45} {:29}{:>9}{:>7}{:>20}{:>8}\n", "ratio", "compared with", "target", "whole",
             "after the burst", "thread");
  for (const Wanted& row : wanted_of(results)) {
    fmt::print("{:45} {:29}{:>3}{:>6.2f}{:>7} {:8}{:>11}{:>8}\n", row.what, row.beside,
               row.at_least ? ">=" : "<=", row.limit, number(row.found, 2),
               std::isnan(row.found) ? "-"
               : row.met()           ? "met"
                                     : "not met",
               number(row.after, 2), number(row.thread, 2));
  }
  const double over = results.cost(Kind::Forwarder, burst_of(64)).whole() /
                      results.cost(Kind::RingDefer, burst_of(64)).whole();
  if (std::isfinite(over))
    fmt::print(
        "The Forwarder costs {:.2f} times as much as the bare ring that it uses, bursts of 64.\n",
        over);
}

nlohmann::json json_of(const Results& results) {
  nlohmann::json json = {{"system", system_name()},
                         {"cpus", std::thread::hardware_concurrency()},
                         {"rounds", results.rounds}};
  const auto value = [](double number) {
    return std::isfinite(number) ? nlohmann::json(number) : nlohmann::json();
  };
  for (const auto& [key, cost] : results.costs) {
    const auto [kind, sink, sources, burst] = key;
    json["costs"].push_back({{"way", key_of(kind)},
                             {"name", bench::to_string(kind)},
                             {"sink", sink == SinkKind::Eventfd ? "eventfd" : "call"},
                             {"sources", sources},
                             {"burst", burst},
                             {"whole_ns", value(cost.whole())},
                             {"after_ns", value(cost.after)},
                             {"thread_ns", value(cost.thread)},
                             {"calls", value(cost.calls)},
                             {"thread_calls", value(cost.thread_calls)}});
  }
  for (const auto& [key, trip] : results.trips) {
    json["round_trips"].push_back({{"way", key_of(key.first)},
                                   {"name", bench::to_string(key.first)},
                                   {"sink", key.second == SinkKind::Eventfd ? "eventfd" : "call"},
                                   {"p50_ns", value(trip.p50)},
                                   {"p99_ns", value(trip.p99)}});
  }
  json["change"] = {{"add_p50_ns", results.change.add_p50},
                    {"add_p99_ns", results.change.add_p99},
                    {"remove_p50_ns", results.change.remove_p50},
                    {"remove_p99_ns", results.change.remove_p99}};
  for (const Wanted& row : wanted_of(results)) {
    json["wanted"].push_back(
        {{"what", row.what},
         {"beside", row.beside},
         {"at_least", row.at_least},
         {"limit", row.limit},
         {"found", value(row.found)},
         {"after", value(row.after)},
         {"thread", value(row.thread)},
         {"met", std::isnan(row.found) ? nlohmann::json() : nlohmann::json(row.met())}});
  }
  return json;
}

}  // namespace passthru::bench
