// SPDX-License-Identifier: MIT
// The results of forward_bench: the tables that it prints, with a target for each ratio, and the
// JSON from which scripts/bench writes docs/performance.md.
#pragma once

#include <cmath>
#include <map>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <tuple>
#include <vector>

#include "bench/forward_measure.h"

namespace passthru::bench {

/// In ns of CPU time per event; not finite if it was not measured.
struct Cost {
  double total, bare, after, thread;
  double calls, thread_calls;  ///< system calls per event besides the write
  [[nodiscard]] double whole() const { return total - bare; }
};

inline const char* to_string(SinkKind sink) {
  return sink == SinkKind::Eventfd ? "an eventfd" : "a call";
}

/// Of each number the minimum of all rounds.
struct Results {
  unsigned rounds = 0;
  std::map<std::tuple<Kind, SinkKind, unsigned, unsigned>, Cost> costs{};  ///< sources, burst
  std::map<std::pair<Kind, SinkKind>, RoundTrip> trips{};
  Change change{};

  /// NaNs if it was not measured.
  [[nodiscard]] Cost cost(Kind kind, const Load& load) const;
};

/// A ratio with its target.
struct Wanted {
  std::string what, beside;
  bool at_least;
  double limit;
  double found;          ///< by the whole cost; NaN if it was not measured
  double after, thread;  ///< by the other two measures; NaN without a value
  /// Compares the ratio as it is printed, to the hundredth.
  [[nodiscard]] bool met() const {
    const double shown = std::round(found * 100) / 100;
    return at_least ? shown >= limit : shown <= limit;
  }
};
std::vector<Wanted> wanted_of(const Results& results);

void print(const Results& results);
nlohmann::json json_of(const Results& results);

}  // namespace passthru::bench
