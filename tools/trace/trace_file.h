// SPDX-License-Identifier: MIT
// A trace file in the JSON that Perfetto and chrome://tracing open (Trace Event Format): a process
// for each device, a track for each vector, a slice for each interrupt, and marks.
#pragma once

#include <cstdint>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <string>
#include <utility>

#include "base/result.h"
#include "tools/output_file.h"

namespace passthru::tools {

/// Numbers of entries in a trace.
struct TraceCounts {
  std::map<unsigned, uint64_t> slices{};  ///< by vector
  std::map<std::string, uint64_t> marks{
      {"masked", 0}, {"unmasked", 0}, {"restored", 0}, {"reset", 0}, {"bar_moved", 0}};
  uint64_t lost = 0;  ///< entries that came too fast for the VMM to keep

  [[nodiscard]] uint64_t all_slices() const;
  [[nodiscard]] uint64_t all_marks() const;
};

class TraceFile {
 public:
  /// Begins `file`, which appears when it is finished. Errors of OutputFile::create.
  static Result<TraceFile> create(const std::string& file,
                                  OutputFile::Existing existing = OutputFile::Existing::Keep);

  /// Writes a VMM's answer to "trace" into the file, without entries of other devices. After the
  /// first failed write (ENOSPC, EIO) it writes nothing, and each call returns that error. Leaves
  /// out marks of an unknown kind. Throws nlohmann::json::exception if `answer` is not an answer to
  /// "trace", or has a vector that no device has.
  Result<void> add(const nlohmann::json& answer, const std::string& device,
                   const std::string& name);
  /// Completes the file, and gives it its name. `other` becomes its "otherData". Errors of `add`.
  Result<void> finish(const nlohmann::json& other);

  /// Returns the numbers of added entries, including entries of failed writes.
  [[nodiscard]] const TraceCounts& counts() const { return counts_; }
  /// Returns whether the file is finished and complete.
  [[nodiscard]] bool is_whole() const { return whole_; }

 private:
  explicit TraceFile(OutputFile out) : out_(std::move(out)) {}
  void put(const nlohmann::json& event);
  void name_track(const std::string& device, const std::string& name, unsigned track,
                  const std::string& text);
  /// Writes `pending_`.
  Result<void> flush();
  [[nodiscard]] Result<void> so_far() const;

  OutputFile out_;
  std::string pending_ = "{\"displayTimeUnit\":\"ns\",\"traceEvents\":[";
  std::optional<Error> failed_;  ///< of the first failed write
  bool whole_ = false;
  bool first_ = true;
  std::set<unsigned> tracks_;  ///< tracks that have a name
  TraceCounts counts_;
};

}  // namespace passthru::tools
