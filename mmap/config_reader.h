// SPDX-License-Identifier: MIT
// Reading a device's config space so that a short silence of the device does not leave all ones in
// a register. ConfigSpace is built from the result.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"
#include "mmap/config_bits.h"

namespace passthru {

/// Returns whether a function that shows this Status register answers. A function that does not
/// answer reads as all ones. Some bits of the Status register are 0 in every function
/// (PCI 3.0, 6.2.3). Ignores CAP_LIST: the kernel answers for it
/// (drivers/vfio/pci/vfio_pci_config.c).
bool is_answer(uint16_t status);

/// Returns `size` bytes of config space. Reads the first 256 bytes and the headers of the extended
/// capabilities; the other bytes are 0. Reads each register twice. A read that the function did not
/// answer differs from the other read only by bits that are ones. So the bits that are set in both
/// reads are the register's.
///
/// If the function does not answer, reads again every 10 ms for at most `response_timeout`. `bdf`
/// is for the hint of an error.
///
/// Errors:
/// - EIO: the function did not answer within `response_timeout`.
/// - the errno of a read that the kernel refused.
Result<std::vector<std::byte>> read_config(PhysicalConfig& registers, uint32_t size,
                                           std::chrono::milliseconds response_timeout,
                                           const std::string& bdf);

}  // namespace passthru
