// SPDX-License-Identifier: MIT
// Owns loads from mapped device memory that may fault: a BAR whose decode is off, that is being
// reset or whose device is gone answers with SIGBUS. Who reads a mapping of a device reads it here.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace passthru {

/// Fills `words` with loads of 4 bytes each, ascending, from `memory` (aligned to 4). False if one
/// of them faulted; `words` then holds nothing of use. Any thread, not in a signal handler. A
/// thread that blocks SIGBUS does so before its first call.
///
/// The first call puts a handler of SIGBUS in place, for the whole process. It passes on what did
/// not come from here to the handler that was there before. A VMM that sets its own later must pass
/// on to ours in the same way, what it does not know.
[[nodiscard]] bool try_read_mmio(const std::byte* memory, std::span<uint32_t> words);

}  // namespace passthru
