// SPDX-License-Identifier: MIT
// The library's own copy of a caller's descriptor.
#pragma once

#include <fcntl.h>

#include <cerrno>

#include "base/fd.h"
#include "base/result.h"

namespace passthru {

/// Errors:
/// - EBADF: `fd` is not open.
/// - EMFILE: no descriptor is left.
inline Result<Fd> copied_fd(int fd, const char* operation) {
  Fd copy(::fcntl(fd, F_DUPFD_CLOEXEC, 0));
  if (!copy) return fail(errno, operation, "the descriptor cannot be copied");
  return copy;
}

}  // namespace passthru
