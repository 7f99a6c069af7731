// SPDX-License-Identifier: MIT
// Owns the judgement whether the forwarder can have a ring, and what it does without. Pure.
#pragma once

#include <string>

#include "base/result.h"
#include "prepare/host_checks.h"

namespace passthru {

/// `ring`: what making one said (make_uring_poller). `disabled`: the sysctl
/// kernel.io_uring_disabled, empty where the kernel has none (before 6.6). Never No: epoll is used
/// where there is no ring.
HostCheck check_ring(const Result<void>& ring, const std::string& disabled);

}  // namespace passthru
