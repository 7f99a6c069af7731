// SPDX-License-Identifier: MIT
// A limit on the time that a test waits for the other side of a socket.
#pragma once

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/time.h>

#include "base/fd.h"

namespace passthru {

/// Makes `recv` fail with EAGAIN after a minute without a byte.
inline void limit_recv(const Fd& socket) {
  const timeval limit{.tv_sec = 60, .tv_usec = 0};
  EXPECT_EQ(::setsockopt(socket.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)), 0);
}

}  // namespace passthru
