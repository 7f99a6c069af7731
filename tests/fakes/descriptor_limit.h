// SPDX-License-Identifier: MIT
// The number of open descriptors that a test or a benchmark needs.
#pragma once

#include <sys/resource.h>

#include <algorithm>

namespace passthru {

/// Raises RLIMIT_NOFILE to at least `descriptors`. Returns whether that many descriptors can be
/// open now. Only root can exceed the hard limit.
inline bool allow_descriptors(rlim_t descriptors) {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return false;
  const rlimit more{.rlim_cur = descriptors, .rlim_max = std::max(limit.rlim_max, descriptors)};
  return limit.rlim_cur >= descriptors || ::setrlimit(RLIMIT_NOFILE, &more) == 0;
}

}  // namespace passthru
