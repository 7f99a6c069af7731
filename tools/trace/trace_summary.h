// SPDX-License-Identifier: MIT
// Owns what `passthru trace` tells when it is done: what the file has, for a person and as JSON
// (docs/json.md). Pure.
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
  std::map<unsigned, uint64_t> delivered{};  ///< by vector, as the VMM has counted meanwhile
  bool watched = true;                       ///< any vector was in use meanwhile
  bool whole = true;                         ///< the file took all that is counted here
  std::string ended{};                       ///< why it ended too early; empty: it did not
};

std::string trace_text(const TraceSummary& summary);
Json trace_json(const TraceSummary& summary);

}  // namespace passthru::tools
