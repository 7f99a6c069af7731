// SPDX-License-Identifier: MIT
// Owns the closing of descriptors; close(2) is never retried: on Linux the descriptor is gone even
// on EINTR.
#include "base/fd.h"

#include <unistd.h>

namespace passthru {

void Fd::reset() {
  if (fd_ >= 0) ::close(fd_);
  fd_ = -1;
}

}  // namespace passthru
