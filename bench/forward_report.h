// SPDX-License-Identifier: MIT
// Owns what forward_bench found: the tables that it prints, beside what is wanted of each ratio,
// and the JSON from which scripts/bench makes docs/performance.md.
#pragma once

#include <map>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <tuple>
#include <vector>

#include "bench/forward_measure.h"

namespace passthru::bench {

/// In ns of CPU time of an event, each the least of all rounds; infinite where it was not measured.
struct Cost {
  double total, bare, after, thread;
  double calls, thread_calls;  ///< system calls of an event besides the write
  [[nodiscard]] double whole() const { return total - bare; }
};

inline const char* name_of(SinkKind sink) {
  return sink == SinkKind::Eventfd ? "an eventfd" : "a call";
}

struct Results {
  unsigned rounds = 0;
  std::map<std::tuple<Kind, SinkKind, unsigned, unsigned>, Cost> costs;  ///< sources, burst
  std::map<std::pair<Kind, SinkKind>, RoundTrip> trips;                  ///< medians of all rounds
  Change change{};                                                       ///< the same

  /// NaNs where it was not measured.
  [[nodiscard]] Cost cost(Kind kind, const Load& load) const;
};

/// A ratio beside what is wanted of it.
struct Wanted {
  std::string what, beside;
  bool at_least;
  double limit;
  double found;          ///< counted whole; NaN where it was not measured
  double after, thread;  ///< the same by the other two measures; NaN where there is none
  [[nodiscard]] bool met() const { return at_least ? found >= limit : found <= limit; }
};
std::vector<Wanted> wanted_of(const Results& results);

void print(const Results& results);
nlohmann::json json_of(const Results& results);

}  // namespace passthru::bench
