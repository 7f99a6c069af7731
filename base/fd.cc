// SPDX-License-Identifier: MIT
#include "base/fd.h"

#include <unistd.h>

namespace passthru {

void Fd::reset() {
  // close(2) is never retried: Linux closes the descriptor even when it reports EINTR.
  if (fd_ >= 0) ::close(fd_);
  fd_ = -1;
}

}  // namespace passthru
