// SPDX-License-Identifier: MIT
// Owns the reading of /proc's tables of what block devices are used for: mountinfo and swaps.
// prepare/in_use asks it.
#pragma once

#include <filesystem>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "base/result.h"

namespace passthru {

/// What is mounted and what is swapped to, of the caller's mount namespace, at one moment.
class Mounts {
 public:
  /// Reads self/mountinfo and swaps (none: this kernel does not swap) below `proc`. Errors of
  /// reading; E2BIG: a table is larger than 8 MiB; EINVAL: a line of it cannot be understood. What
  /// cannot be read to its end is an error, since a mount may be missed.
  static Result<Mounts> read(const std::filesystem::path& proc);

  /// Where a block device is mounted, escaped as in mountinfo (a space is \040). `number` is
  /// "259:1" (sysfs `dev`); `nodes` are its names in /dev, for file systems whose number is not
  /// that of their device (btrfs).
  [[nodiscard]] std::vector<std::string> of(const std::string& number,
                                            const std::vector<std::string>& nodes) const;
  [[nodiscard]] bool swaps_to(const std::string& node) const { return swaps_.contains(node); }

 private:
  Result<void> take_mounts(const std::string& text);
  Result<void> take_swaps(const std::string& text);

  std::map<std::string, std::vector<std::string>> by_number_;
  std::map<std::string, std::vector<std::string>> by_node_;  // only where the number is no device's
  std::set<std::string> swaps_;
};

}  // namespace passthru
