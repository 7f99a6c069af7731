// SPDX-License-Identifier: MIT
// The events of the format: "X" is a slice, "i" an instant, "M" a name; times are in us. The file
// is written by write(2), because a stream would lose its errno.
#include "tools/trace/trace_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <numeric>

namespace passthru::tools {
namespace {

constexpr unsigned kProcess = 1;
constexpr unsigned kDeviceTrack = 0;  // for marks of the device; vector n has track n + 1

double us(int64_t ns) {
  return static_cast<double>(ns) / 1000;
}

Error cannot_write(const std::string& file, int code) {
  return Error{.code = code, .operation = "write " + file, .cause = std::strerror(code)}.advise(
      "Name another file with -o");
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

Result<TraceFile> TraceFile::create(const std::string& file) {
  constexpr mode_t kMode = 0666;
  Fd out(::open(file.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, kMode));
  if (!out) return tl::unexpected(cannot_write(file, errno));
  return TraceFile(file, std::move(out));
}

Result<void> TraceFile::so_far() const {
  if (failed_ != 0) return tl::unexpected(cannot_write(file_, failed_));
  return {};
}

Result<void> TraceFile::flush() {
  for (size_t done = 0; failed_ == 0 && done < pending_.size();) {
    const ssize_t wrote = ::write(out_.get(), pending_.data() + done, pending_.size() - done);
    if (wrote >= 0) {
      done += static_cast<size_t>(wrote);
    } else if (errno != EINTR) {
      failed_ = errno;
    }
  }
  pending_.clear();
  return so_far();
}

void TraceFile::put(const nlohmann::json& event) {
  pending_ += first_ ? "\n" : ",\n";
  pending_ += event.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
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
    const auto vector = entry.at("vector").get<unsigned>();
    const auto latency = entry.at("latency_ns").get<int64_t>();
    name_track(device, name, vector + 1, fmt::format("vector {}", vector));
    put({{"ph", "X"},
         {"cat", "interrupt"},
         {"name", "interrupt"},
         {"pid", kProcess},
         {"tid", vector + 1},
         {"ts", us(entry.at("time_ns").get<int64_t>() - latency)},
         {"dur", us(latency)}});
    ++counts_.slices[vector];
  }
  for (const nlohmann::json& mark : answer.at("marks")) {
    if (mark.at("device") != device) continue;
    const auto kind = mark.at("kind").get<std::string>();
    const auto index = mark.at("index").get<unsigned>();
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
  pending_ += fmt::format("\n],\"otherData\":{}}}\n",
                          other.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace));
  ignore(flush(), "so_far() returns the error below, after the file is closed");
  // NFS reports a full disk only here.
  const int fd = out_.release();
  if (fd >= 0 && ::close(fd) != 0 && failed_ == 0) failed_ = errno;
  whole_ = failed_ == 0;
  return so_far();
}

}  // namespace passthru::tools
