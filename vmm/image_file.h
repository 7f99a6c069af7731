// SPDX-License-Identifier: MIT
// Owns the reading of a kernel or an initrd from its file, whatever kind of file that is.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "base/result.h"

namespace passthru {

/// All bytes of `path`. `what` names its role in the error: "the kernel image". EFBIG beyond 2 GiB,
/// which no guest could be given below 4 GiB.
Result<std::vector<std::byte>> read_image(const std::string& path, const std::string& what);

}  // namespace passthru
