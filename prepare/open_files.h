// SPDX-License-Identifier: MIT
// The open files of all processes, from /proc: which process has a device node open.
#pragma once

#include <cstddef>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "base/result.h"

namespace passthru {

/// A device node.
struct DeviceNode {
  std::string name{};    ///< in sysfs: "controlC0"
  std::string file{};    ///< its usual name below /dev: "snd/controlC0"
  std::string number{};  ///< "116:2", as sysfs has it in `dev`
  bool block = false;
};

/// A process that has a file open.
struct Process {
  int pid = 0;
  std::string command{};  ///< its first words; printable
  std::string unit{};     ///< its systemd service as words for systemctl; empty: none
  bool stopped = false;   ///< by SIGSTOP or a debugger
  bool operator==(const Process&) const = default;

  /// Returns "process 812 (agetty ttyS1)".
  [[nodiscard]] std::string str() const;
  /// Returns a command that ends the process and keeps it from starting again. Empty for processes
  /// that a user must not end: init, and the session manager that opens devices for others.
  [[nodiscard]] std::string remedy() const;
};

/// Describes a process. A process that has ended has an empty command.
Process describe_process(const std::filesystem::path& proc, int pid);

/// An open file of a process.
struct OpenFile {
  int pid = 0;
  std::filesystem::path link{};    ///< /proc/812/fd/3
  std::filesystem::path fdinfo{};  ///< /proc/812/fdinfo/3
  std::string target{};            ///< "/dev/ttyS1", "anon_inode:[vfio-device]"
};

constexpr size_t kMaxOpenFiles = size_t{1} << 22;

/// Calls `look` for each open file of each process below `proc`, in the order of pids. Skips the
/// calling process, which may have inherited a file, and the processes that the caller may not see:
/// without root, those of other users.
///
/// Errors:
/// - E2BIG: the processes have more than `max_files` open files.
/// - ENOENT: `proc` cannot be read.
Result<void> for_each_open_file(const std::filesystem::path& proc,
                                const std::function<void(const OpenFile&)>& look,
                                size_t max_files = kMaxOpenFiles);

/// A node and the processes that have it open.
struct OpenNode {
  DeviceNode node{};
  std::vector<Process> processes{};
};

/// Returns those of `nodes` that a process has open, in the order of `nodes`. In a container or
/// below a chroot, a node may have another directory or another name.
///
/// Errors:
/// - Errors of `for_each_open_file`.
Result<std::vector<OpenNode>> find_open_nodes(const std::filesystem::path& proc,
                                              const std::vector<DeviceNode>& nodes);

}  // namespace passthru
