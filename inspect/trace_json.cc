// SPDX-License-Identifier: MIT
#include "inspect/trace_json.h"

#include "irq/trace_label.h"

namespace passthru {
namespace {

using Json = nlohmann::json;
using Clock = std::chrono::steady_clock;

const char* to_string(TraceMark::Kind kind) {
  switch (kind) {
    case TraceMark::Kind::Masked:
      return "masked";
    case TraceMark::Kind::Unmasked:
      return "unmasked";
    case TraceMark::Kind::Restored:
      return "restored";
    case TraceMark::Kind::Reset:
      return "reset";
    case TraceMark::Kind::BarMoved:
      return "bar_moved";
  }
  return "reset";
}

int64_t ns(Clock::time_point time) {
  return std::chrono::nanoseconds(time.time_since_epoch()).count();
}

Json interrupts_json(const TraceSlice& slice) {
  Json entries = Json::array();
  for (const TraceEntry& each : slice.entries) {
    const TraceLabel label = TraceLabel::of(each.label);
    entries.push_back({{"time_ns", ns(each.time)},
                       {"device", label.device.str()},
                       {"vector", label.vector},
                       {"latency_ns", each.latency.count()}});
  }
  return entries;
}

Json marks_json(const TraceMarkSlice& slice) {
  Json marks = Json::array();
  for (const TraceMark& each : slice.marks) {
    marks.push_back({{"time_ns", ns(each.time)},
                     {"kind", to_string(each.kind)},
                     {"device", each.device.str()},
                     {"index", each.index},
                     {"value", each.value}});
  }
  return marks;
}

}  // namespace

Json trace_json(const TraceSlice& interrupts, const TraceMarkSlice& marks, Clock::time_point now) {
  return {{"now_ns", ns(now)},          {"interrupts", interrupts_json(interrupts)},
          {"next", interrupts.next},    {"lost", interrupts.lost},
          {"marks", marks_json(marks)}, {"marks_next", marks.next},
          {"marks_lost", marks.lost}};
}

}  // namespace passthru
