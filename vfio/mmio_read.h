// SPDX-License-Identifier: MIT
// Loads from mapped device memory that may fault. A BAR causes SIGBUS if its decode is off, during
// a reset, and after the device is gone. Read a device's mappings only through this function.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace passthru {

/// Fills `words` with loads of 4 bytes each, ascending, from `memory` (aligned to 4). Returns false
/// if a load faulted; `words` is then undefined. Call it on any thread, but not in a signal
/// handler. A thread that blocks SIGBUS must do so before its first call.
///
/// The first call installs a SIGBUS handler for the whole process. It passes other faults on to the
/// previous handler. A VMM that installs its own handler later must pass unknown faults on in the
/// same way.
[[nodiscard]] bool try_read_mmio(const std::byte* memory, std::span<uint32_t> words);

}  // namespace passthru
