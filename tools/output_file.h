// SPDX-License-Identifier: MIT
// A file that the user names for output. It is written beside its final place and renamed when it
// is complete, so that a failure never spoils an older file.
#pragma once

#include <string>
#include <string_view>

#include "base/fd.h"
#include "base/result.h"

namespace passthru::tools {

/// Move-only. A file that is not committed is removed again.
class OutputFile {
 public:
  enum class Existing { Keep, Replace };

  /// Begins a file. A device or a pipe, such as /dev/stdout in a pipe, is written directly. A
  /// symbolic link is followed only to such a file, and only if root or the caller made it.
  ///
  /// Errors:
  /// - EEXIST: the file exists, and `existing` is Keep.
  /// - ELOOP: the path is a symbolic link.
  /// - EISDIR, EINVAL: the path is a directory, or a disk or a socket.
  /// - ENOENT, EACCES and others: of its directory.
  static Result<OutputFile> create(const std::string& path, Existing existing);

  OutputFile(OutputFile&&) noexcept;
  OutputFile& operator=(OutputFile&&) = delete;
  ~OutputFile();

  /// Writes all of `text`. The state after an error is undefined, except that the file can be
  /// dropped.
  Result<void> write(std::string_view text);
  /// Closes the file and gives it its name. Errors of write(2), of close(2) and of `create`.
  Result<void> commit();

 private:
  OutputFile(std::string path, Existing existing) : path_(std::move(path)), existing_(existing) {}
  [[nodiscard]] Result<void> open_special(bool link);
  [[nodiscard]] Result<void> open_beside();
  [[nodiscard]] Error error(int code) const;

  std::string path_;
  Existing existing_;
  std::string beside_{};  ///< the name until `commit`; empty: written directly
  Fd fd_;
};

}  // namespace passthru::tools
