// SPDX-License-Identifier: MIT
// The events of the format: "X" is a slice, "i" an instant, "M" a name; times are in us.
#include "tools/trace/trace_file.h"

#include <fmt/format.h>

#include <numeric>
#include <utility>

#include "tools/json.h"
#include "tools/vmm_answer.h"

namespace passthru::tools {
namespace {

constexpr unsigned kProcess = 1;
constexpr unsigned kDeviceTrack = 0;  // for marks of the device; vector n has track n + 1

double us(int64_t ns) {
  return static_cast<double>(ns) / 1000;
}

// Returns the difference, or the end of the type's range that is nearest to it.
int64_t difference(int64_t from, int64_t subtrahend) {
  int64_t result = 0;
  if (!__builtin_sub_overflow(from, subtrahend, &result)) return result;
  return subtrahend > 0 ? INT64_MIN : INT64_MAX;
}

// Throws if no device has the vector: each would get a track.
unsigned vector_in(const nlohmann::json& number) {
  const auto vector = number.get<uint64_t>();
  if (vector < AnswerLimits::kVectors) return static_cast<unsigned>(vector);
  throw nlohmann::json::out_of_range::create(401, "no device has this vector", &number);
}

template <class Key>
uint64_t sum_of(const std::map<Key, uint64_t>& counts) {
  return std::accumulate(counts.begin(), counts.end(), uint64_t{0},
                         [](uint64_t sum, const auto& each) { return sum + each.second; });
}

}  // namespace

uint64_t TraceCounts::all_slices() const {
  return sum_of(slices);
}

uint64_t TraceCounts::all_marks() const {
  return sum_of(marks);
}

Result<TraceFile> TraceFile::create(const std::string& file, OutputFile::Existing existing) {
  return TraceFile(PASSTHRU_TRY(OutputFile::create(file, existing)));
}

Result<void> TraceFile::so_far() const {
  if (failed_) return tl::unexpected(*failed_);
  return {};
}

Result<void> TraceFile::flush() {
  if (!failed_) {
    if (const auto written = out_.write(pending_); !written) failed_ = written.error();
  }
  pending_.clear();
  return so_far();
}

void TraceFile::put(const nlohmann::json& event) {
  pending_ += first_ ? "\n" : ",\n";
  pending_ += json_text(event, -1);
  first_ = false;
}

void TraceFile::name_track(const std::string& device, const std::string& name, unsigned track,
                           const std::string& text) {
  if (tracks_.empty()) {
    put({{"ph", "M"},
         {"name", "process_name"},
         {"pid", kProcess},
         {"args", {{"name", fmt::format("{} {}", device, name)}}}});
  }
  if (!tracks_.insert(track).second) return;
  put({{"ph", "M"},
       {"name", "thread_name"},
       {"pid", kProcess},
       {"tid", track},
       {"args", {{"name", text}}}});
}

Result<void> TraceFile::add(const nlohmann::json& answer, const std::string& device,
                            const std::string& name) {
  for (const nlohmann::json& entry : answer.at("interrupts")) {
    if (entry.at("device") != device) continue;
    const unsigned vector = vector_in(entry.at("vector"));
    const auto latency = entry.at("latency_ns").get<int64_t>();
    name_track(device, name, vector + 1, fmt::format("vector {}", vector));
    put({{"ph", "X"},
         {"cat", "interrupt"},
         {"name", "interrupt"},
         {"pid", kProcess},
         {"tid", vector + 1},
         {"ts", us(difference(entry.at("time_ns").get<int64_t>(), latency))},
         {"dur", us(latency)}});
    ++counts_.slices[vector];
  }
  for (const nlohmann::json& mark : answer.at("marks")) {
    if (mark.at("device") != device) continue;
    const auto kind = mark.at("kind").get<std::string>();
    if (!counts_.marks.contains(kind)) continue;
    const unsigned index = vector_in(mark.at("index"));
    const bool of_vector = kind == "masked" || kind == "unmasked" || kind == "restored";
    const unsigned track = of_vector ? index + 1 : kDeviceTrack;
    name_track(device, name, track, of_vector ? fmt::format("vector {}", index) : "device");
    nlohmann::json args = nlohmann::json::object();
    if (kind == "bar_moved") {
      args = {{"bar", index}, {"address", fmt::format("{:#x}", mark.at("value").get<uint64_t>())}};
    }
    put({{"ph", "i"},
         {"cat", "mark"},
         {"name", kind},
         {"s", of_vector ? "t" : "p"},
         {"pid", kProcess},
         {"tid", track},
         {"ts", us(mark.at("time_ns").get<int64_t>())},
         {"args", args}});
    ++counts_.marks[kind];
  }
  counts_.lost += answer.at("lost").get<uint64_t>() + answer.at("marks_lost").get<uint64_t>();
  return flush();
}

Result<void> TraceFile::finish(const nlohmann::json& other) {
  pending_ += fmt::format("\n],\"otherData\":{}}}\n", json_text(other, -1));
  PASSTHRU_TRY(flush());
  if (const auto committed = out_.commit(); !committed) failed_ = committed.error();
  whole_ = !failed_;
  return so_far();
}

}  // namespace passthru::tools
