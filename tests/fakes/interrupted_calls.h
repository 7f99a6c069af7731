// SPDX-License-Identifier: MIT
// Code whose system calls on files fail, or end the process, at a call of the test's choice. Only
// the calling thread is concerned. It needs no fake and no privilege: a seccomp filter reports each
// call, and a second thread decides about it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

namespace passthru {

/// A call that names a file, by a path or by a descriptor.
struct FileCall {
  std::string name{};  ///< "openat", "fsync"
  std::filesystem::path file{};
};

/// The call that does not do its work.
struct Interruption {
  size_t at = SIZE_MAX;  ///< 0: the first call
  int code = 0;          ///< its errno; 0: the process exits with kKilled instead
};
inline constexpr int kKilled = 113;

/// Runs `function` in a thread of its own and returns its calls on the files for which `concerns`
/// holds, in order. Aborts if the kernel refuses the filter.
std::vector<FileCall> run_interrupted(
    const std::function<void()>& function,
    const std::function<bool(const std::filesystem::path&)>& concerns,
    const Interruption& interruption);

}  // namespace passthru
