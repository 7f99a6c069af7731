// SPDX-License-Identifier: MIT
#include "tools/trace/trace_summary.h"

#include <fmt/format.h>

#include <set>

namespace passthru::tools {
namespace {

uint64_t count_of(const std::map<unsigned, uint64_t>& counts, unsigned vector) {
  const auto found = counts.find(vector);
  return found == counts.end() ? 0 : found->second;
}

}  // namespace

std::string trace_text(const TraceSummary& summary) {
  const std::string what = fmt::format("{} interrupts and {} marks", summary.counts.all_slices(),
                                       summary.counts.all_marks());
  std::string text = summary.whole
                         ? fmt::format("{}: {} in {}\n", summary.device, what, summary.file)
                         : fmt::format("{}: {} was not written: the trace had {}\n", summary.device,
                                       summary.file, what);
  if (summary.counts.lost != 0) {
    text += fmt::format("{} came too fast and are not in the file\n", summary.counts.lost);
  }
  if (!summary.watched) {
    text +=
        "No vector of the device was in use: the guest has no driver for it, or its driver uses "
        "INTx, which is not traced\n";
  }
  return text;
}

Json trace_json(const TraceSummary& summary) {
  std::set<unsigned> all;
  for (const auto& [vector, count] : summary.counts.slices) all.insert(vector);
  for (const auto& [vector, count] : summary.delivered) all.insert(vector);
  Json vectors = Json::array();
  for (const unsigned vector : all) {
    vectors.push_back(
        {{"vector", vector},
         {"slices", count_of(summary.counts.slices, vector)},
         {"delivered",
          summary.ended.empty() ? Json(count_of(summary.delivered, vector)) : Json()}});
  }
  return {{"device", summary.device},
          {"name", summary.name},
          {"file", summary.whole ? Json(summary.file) : Json()},
          {"seconds", summary.seconds},
          {"interrupts", summary.counts.all_slices()},
          {"vectors", vectors},
          {"marks", summary.counts.marks},
          {"lost", summary.counts.lost},
          {"ended", json_or_null(summary.ended)}};
}

}  // namespace passthru::tools
