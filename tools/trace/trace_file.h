// SPDX-License-Identifier: MIT
// Owns a trace on its way into a file, in the JSON that Perfetto and chrome://tracing open (Trace
// Event Format): a process for each device, a track for each vector, a slice for each interrupt,
// and marks.
#pragma once

#include <cstdint>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <utility>

#include "base/fd.h"
#include "base/result.h"

namespace passthru::tools {

/// What is in a trace.
struct TraceCounts {
  std::map<unsigned, uint64_t> slices{};  ///< by vector
  std::map<std::string, uint64_t> marks{
      {"masked", 0}, {"unmasked", 0}, {"restored", 0}, {"reset", 0}, {"bar_moved", 0}};
  uint64_t lost = 0;  ///< came too fast to be kept

  [[nodiscard]] uint64_t all_slices() const;
  [[nodiscard]] uint64_t all_marks() const;
};

class TraceFile {
 public:
  /// The error's cause says why it cannot be written.
  static Result<TraceFile> create(const std::string& file);

  /// What a VMM answered to "trace", which is in the file then; entries of other devices are left
  /// out. The errno of the first write that failed (ENOSPC, EIO): nothing is written from then on,
  /// and each call says the same. Throws nlohmann::json::exception where it is no such answer.
  Result<void> add(const nlohmann::json& answer, const std::string& device,
                   const std::string& name);
  /// Closes the file. `other` becomes its "otherData". Errors as `add`.
  Result<void> finish(const nlohmann::json& other);

  /// Of what was added, whether or not the file took it.
  [[nodiscard]] const TraceCounts& counts() const { return counts_; }
  /// It is finished, and took everything.
  [[nodiscard]] bool is_whole() const { return whole_; }

 private:
  TraceFile(std::string file, Fd out) : file_(std::move(file)), out_(std::move(out)) {}
  void put(const nlohmann::json& event);
  void name_track(const std::string& device, const std::string& name, unsigned track,
                  const std::string& text);
  /// Writes what is pending.
  Result<void> flush();
  [[nodiscard]] Result<void> so_far() const;

  std::string file_;
  Fd out_;
  std::string pending_ = "{\"displayTimeUnit\":\"ns\",\"traceEvents\":[";
  int failed_ = 0;  ///< errno of the first write that did
  bool whole_ = false;
  bool first_ = true;
  std::set<unsigned> tracks_;  ///< that have a name
  TraceCounts counts_;
};

}  // namespace passthru::tools
