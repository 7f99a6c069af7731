// SPDX-License-Identifier: MIT
// The doctor's check whether the forwarder can use io_uring. Pure.
#pragma once

#include <string>

#include "base/result.h"
#include "prepare/host_checks.h"

namespace passthru {

/// Judges the result of `make_uring_poller`, which is `ring`. `disabled` is the sysctl
/// kernel.io_uring_disabled; empty before Linux 6.6. The answer is never No, because epoll replaces
/// a missing ring.
HostCheck check_ring(const Result<void>& ring, const std::string& disabled);

}  // namespace passthru
