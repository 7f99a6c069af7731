// SPDX-License-Identifier: MIT
// The summary that `passthru trace` prints at its end, as text and as JSON (docs/json.md). Pure.
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "tools/json.h"
#include "tools/trace/trace_file.h"

namespace passthru::tools {

struct TraceSummary {
  std::string device{};
  std::string name{};
  std::string file{};
  double seconds = 0;
  TraceCounts counts{};
  std::map<unsigned, uint64_t> delivered{};  ///< by vector, counted by the VMM during the trace
  bool watched = true;                       ///< a vector was in use during the trace
  bool whole = true;                         ///< the file has all entries of `counts`
  std::string ended{};                       ///< error that ended the trace early, or empty
};

std::string trace_text(const TraceSummary& summary);
Json trace_json(const TraceSummary& summary);

}  // namespace passthru::tools
