// SPDX-License-Identifier: MIT
// Changes to the system as values: the files to write, in order, and the undo of each change. A
// plan can be shown before it is carried out.
#pragma once

#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"

namespace passthru {

/// A file that is written, created or removed.
struct FileChange {
  enum class Kind {
    Write,   ///< writes a line to an existing file, as sysfs expects
    Create,  ///< creates a file with this content, and its directory
    Remove,
  };
  Kind kind = Kind::Write;
  std::filesystem::path file{};
  std::string value{};  ///< Write: the line without its newline. Create: the whole content

  /// Returns the shell command: "echo vfio-pci >
  /// /sys/bus/pci/devices/0000:00:02.0/driver_override".
  [[nodiscard]] std::string str() const;
};

struct PlannedChange {
  FileChange change{};
  std::optional<FileChange> undo{};
  std::string device{};  ///< BDF; the error of a failed change names it
};

/// Changes in the order in which they are made. Empty: nothing needs to change.
using ChangePlan = std::vector<PlannedChange>;

/// Makes a change. Tests replace it.
using ApplyChange = std::function<Result<void>(const FileChange&)>;
Result<void> apply_to_files(const FileChange& change);

/// Carries out all of the plan, or nothing: if a change fails, the earlier changes are undone, last
/// first. Returns the error of the failed change; its cause names the changes that could not be
/// undone. EACCES and EPERM come with advice.
Result<void> carry_out(const ChangePlan& plan, const ApplyChange& apply = apply_to_files);

}  // namespace passthru
