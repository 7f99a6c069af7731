// SPDX-License-Identifier: MIT
// Changes to the system as values: the files to write, in order, and the undo of each change. A
// plan can be shown before it is carried out.
#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "base/result.h"

namespace passthru {

/// A file that is written, created or removed.
struct FileChange {
  enum class Kind {
    Write,   ///< writes a line to an existing file, as sysfs expects
    Create,  ///< creates a file with this content, or replaces it, and creates its directory
    Remove,
  };
  Kind kind = Kind::Write;
  std::filesystem::path file{};
  std::string value{};  ///< Write: the line without its newline. Create: lines, each with a newline

  /// Returns the shell command: "echo vfio-pci >
  /// /sys/bus/pci/devices/0000:00:02.0/driver_override".
  [[nodiscard]] std::string str() const;
};

struct PlannedChange {
  FileChange change{};
  std::vector<FileChange> undo{};  ///< in this order
  std::string device{};            ///< BDF; the error of a failed change names it
};

/// Returns the change that gives `file` this content. Its undo restores the file as it is now.
///
/// Errors: those of reading a file that exists.
Result<PlannedChange> content_change(std::filesystem::path file, std::string content,
                                     std::string device);

/// Changes in the order in which they are made. Empty: nothing needs to change.
using ChangePlan = std::vector<PlannedChange>;

/// Makes a change. Tests and the command replace it.
///
/// Errors:
/// - ECANCELED: the caller has stopped waiting, and the kernel may still complete the change.
/// - Any other errno: the change was not made.
using ApplyChange = std::function<Result<void>(const FileChange&)>;
Result<void> apply_to_files(const FileChange& change);

/// Carries out all of the plan, or nothing: if a change fails, the earlier changes are undone, last
/// first. Returns the error of the failed change; its cause names the changes that could not be
/// undone. Without root, EACCES and EPERM come with advice.
///
/// Errors:
/// - ECANCELED: as above. Nothing is undone, because the kernel still works on the device. The
///   cause says which changes were made and which were not.
/// - Errors of `apply`.
Result<void> carry_out(const ChangePlan& plan, const ApplyChange& apply = apply_to_files);

}  // namespace passthru
