// SPDX-License-Identifier: MIT
// Owns a trace on its way into a file, in the JSON that Perfetto and chrome://tracing open (Trace
// Event Format): a process for each device, a track for each vector, a slice for each interrupt,
// and marks.
#pragma once

#include <cstdint>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <utility>

#include "vfio/result.h"

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

  /// What a VMM answered to "trace"; entries of other devices are left out. Throws
  /// nlohmann::json::exception where it is none.
  void add(const nlohmann::json& answer, const std::string& device, const std::string& name);
  /// Closes the file. `other` becomes its "otherData".
  Result<void> finish(const nlohmann::json& other);

  [[nodiscard]] const TraceCounts& counts() const { return counts_; }

 private:
  TraceFile(std::string file, std::ofstream out) : file_(std::move(file)), out_(std::move(out)) {}
  void write(const nlohmann::json& event);
  void name_track(const std::string& device, const std::string& name, unsigned track,
                  const std::string& text);

  std::string file_;
  std::ofstream out_;
  bool first_ = true;
  std::set<unsigned> tracks_;  ///< that have a name
  TraceCounts counts_;
};

}  // namespace passthru::tools
