// SPDX-License-Identifier: MIT
// The mounts and swap devices from /proc's tables. prepare/in_use uses it.
#pragma once

#include <filesystem>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "base/result.h"

namespace passthru {

/// The mounts and the swap of the caller's mount namespace, at one moment.
class Mounts {
 public:
  /// Reads self/mountinfo and swaps below `proc`. The file swaps is missing if the kernel has no
  /// swap. A table that cannot be read completely is an error, because a mount might be missed.
  ///
  /// Errors:
  /// - E2BIG: a table is larger than 8 MiB.
  /// - EINVAL: a line has an unknown form.
  /// - Errors of reading a file.
  static Result<Mounts> read(const std::filesystem::path& proc);

  /// Returns the mount points of a block device, escaped as in mountinfo (a space is \040).
  /// `number` is "259:1" (sysfs `dev`). `nodes` are its names in /dev, for file systems whose
  /// number is not the number of their device (btrfs).
  [[nodiscard]] std::vector<std::string> of(const std::string& number,
                                            const std::vector<std::string>& nodes) const;
  [[nodiscard]] bool swaps_to(const std::string& node) const { return swaps_.contains(node); }

 private:
  Result<void> take_mounts(const std::string& text);
  Result<void> take_swaps(const std::string& text);

  std::map<std::string, std::vector<std::string>> by_number_;
  std::map<std::string, std::vector<std::string>> by_node_;  // if the number is not a device's
  std::set<std::string> swaps_;
};

}  // namespace passthru
