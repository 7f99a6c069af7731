// SPDX-License-Identifier: MIT
// Owns a change to the system as a value: the files to write in order, and what undoes each. It can
// be shown before it is done, and what was done of it is undone when the rest fails. Made by
// prepare/binding.
#pragma once

#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"

namespace passthru {

/// One file written, made or removed.
struct FileChange {
  enum class Kind {
    Write,   ///< a line to a file that is there, as sysfs has them
    Create,  ///< a file with this content, and the directory it is in
    Remove,
  };
  Kind kind = Kind::Write;
  std::filesystem::path file{};
  std::string value{};  ///< Write: without the newline, which is added. Create: the whole content

  /// As a shell would do it: "echo vfio-pci > /sys/bus/pci/devices/0000:00:02.0/driver_override".
  [[nodiscard]] std::string str() const;
};

struct PlannedChange {
  FileChange change{};
  std::optional<FileChange> undo{};
  std::string device{};  ///< whose it is: named by the error if it fails
};

/// In the order in which they are to be done. Empty: there is nothing to do.
using ChangePlan = std::vector<PlannedChange>;

/// How one change is done; tests put a fake in its place.
using ApplyChange = std::function<Result<void>(const FileChange&)>;
Result<void> apply_to_files(const FileChange& change);

/// All of the plan, or nothing: on failure what was done is undone in reverse, and the error is
/// that of the change that failed. What cannot be undone is named in its cause. EACCES and EPERM
/// come with advice.
Result<void> carry_out(const ChangePlan& plan, const ApplyChange& apply = apply_to_files);

}  // namespace passthru
