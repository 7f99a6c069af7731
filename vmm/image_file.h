// SPDX-License-Identifier: MIT
// The reading of a kernel or an initrd from a file of any kind.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "base/result.h"

namespace passthru {

/// Returns all bytes of `path`. `what` names its role in the error: "the kernel image".
/// Errors:
/// - EFBIG: the file is larger than 2 GiB, for which no guest has room below 4 GiB.
/// - errors of open(2) and read(2).
Result<std::vector<std::byte>> read_image(const std::string& path, const std::string& what);

}  // namespace passthru
