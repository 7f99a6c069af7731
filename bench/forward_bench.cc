// SPDX-License-Identifier: MIT
// The comparison of the forwarder with other ways of carrying an eventfd's signal to a sink. All
// ways take turns in one process, for many rounds. Of each number the minimum counts, because other
// load on the machine can only add to it.
#include <algorithm>
#include <cerrno>
#include <fstream>
#include <iostream>
#include <iterator>
#include <limits>
#include <nlohmann/json.hpp>
#include <span>
#include <string_view>

#include "bench/forward_report.h"

namespace passthru::bench {
namespace {

struct Plan {
  unsigned rounds = 11;
  uint64_t events = 10'000;  ///< per measurement, on one thread and on two
  unsigned trips = 1'000;    ///< per round
  unsigned changes = 100;    ///< per round
  std::vector<unsigned> sizes = {1, 4, 16, 64, 256, 512, 1024, 4096};
};

constexpr Plan quick() {
  return {.rounds = 1, .events = 1'000, .trips = 50, .changes = 5, .sizes = {1, 64, 512}};
}

bool has_thread(Kind kind) {
  return kind != Kind::BareWrite;
}

void keep_least(double& least, double value) {
  least = std::min(least, value);
}

class Run {
 public:
  explicit Run(const Plan& plan) : plan_(plan) {
    std::copy_if(std::begin(kKinds), std::end(kKinds), std::back_inserter(kinds_), can_be_had);
    if (kinds_.size() < std::size(kKinds)) {
      std::cerr << "forward_bench: skipping the ways with io_uring: it is forbidden, or the kernel "
                   "is older than 6.1\n";
    }
    for (const unsigned size : plan.sizes) {
      if (size > max_sources()) continue;
      loads_.insert(loads_.end(), {burst_of(size), one_of(size)});
    }
    constexpr SinkKind kCall = SinkKind::Call;
    loads_.insert(loads_.end(), {one_of(64, kCall), burst_of(64, kCall), burst_of(512, kCall)});
  }

  Results results() {
    results_.rounds = plan_.rounds;
    for (unsigned round = 0; round < plan_.rounds; ++round) {
      for (const Load& load : loads_) {
        for (const Kind kind : kinds_) measure(kind, load);
      }
      for (const SinkKind sink : kSinks) {
        for (const Kind kind : kinds_) {
          if (has_thread(kind)) measure_trip(kind, sink);
        }
      }
      const Change change = measure_change(plan_.changes);
      for (const auto field :
           {&Change::add_p50, &Change::add_p99, &Change::remove_p50, &Change::remove_p99}) {
        keep_least(results_.change.*field, change.*field);
      }
    }
    return results_;
  }

 private:
  static constexpr double kNone = std::numeric_limits<double>::infinity();

  void measure_trip(Kind kind, SinkKind sink) {
    RoundTrip& least =
        results_.trips.try_emplace({kind, sink}, RoundTrip{kNone, kNone}).first->second;
    const RoundTrip trip = measure_round_trip(kind, sink, plan_.trips);
    keep_least(least.p50, trip.p50);
    keep_least(least.p99, trip.p99);
  }

  void measure(Kind kind, const Load& load) {
    Cost& cost = results_.costs
                     .try_emplace({kind, load.sink, load.sources, load.burst},
                                  Cost{kNone, kNone, kNone, kNone, kNone, kNone})
                     .first->second;
    const uint64_t events = std::max(plan_.events, uint64_t{2} * load.sources);
    const OneThread one = measure_one_thread(kind, load, events);
    keep_least(cost.total, one.total);
    keep_least(cost.bare, one.bare);
    keep_least(cost.after, one.after);
    keep_least(cost.calls, one.calls);
    // measure_round_trip covers bursts of 1.
    if (!has_thread(kind) || load.sink == SinkKind::Call || load.burst != load.sources) return;
    if (load.sources != 64 && load.sources != 512) return;
    const TwoThreads two = measure_two_threads(kind, load, events);
    keep_least(cost.thread, two.cpu);
    keep_least(cost.thread_calls, two.calls);
  }

  const Plan plan_;
  std::vector<Kind> kinds_;
  std::vector<Load> loads_;
  Results results_{.change = {kNone, kNone, kNone, kNone}};
};

int usage() {
  std::cerr << "usage: forward_bench [--quick] [--json FILE]\n"
               "  --quick      one short round, to test that it works\n"
               "  --json FILE  also writes the results to FILE\n";
  return 2;
}

int main_of(std::span<char*> arguments) {
  Plan plan;
  const char* file = nullptr;
  for (size_t i = 0; i < arguments.size(); ++i) {
    const std::string_view argument = arguments[i];
    if (argument == "--quick") {
      plan = quick();
    } else if (argument == "--json" && i + 1 < arguments.size()) {
      file = arguments[++i];
    } else {
      return usage();
    }
  }
  const Results results = Run(plan).results();
  print(results);
  if (file == nullptr) return 0;
  std::ofstream out(file);
  out << json_of(results).dump(2) << '\n';
  out.close();
  if (!out) broke(file, errno);
  return 0;
}

}  // namespace
}  // namespace passthru::bench

int main(int argc, char** argv) {
  return passthru::bench::main_of(std::span(argv, static_cast<size_t>(argc)).subspan(1));
}
