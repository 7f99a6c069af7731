// SPDX-License-Identifier: MIT
// Reading a device's config space so that no register is taken for all ones that only was so for a
// moment. ConfigSpace is described from what is read here.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"
#include "mmap/config_bits.h"

namespace passthru {

/// Whether a function that shows this Status register answers. Reads from a function that does not
/// are all ones; in the register of any function some bits are 0 (PCI 3.0, 6.2.3). CAP_LIST is
/// passed over: the kernel answers for it (drivers/vfio/pci/vfio_pci_config.c).
bool is_answer(uint16_t status);

/// Returns `size` bytes of config space, of which the first 256 and the headers of the extended
/// capabilities are read; the others are 0. Each register is read twice. A read that the function
/// did not answer differs from the other one only by bits that are ones, so the bits that are set
/// in both reads are the register's.
///
/// A function that does not answer, between two registers or at all, is asked again every 10 ms for
/// as long as `response_timeout`. `bdf` is for the advice of an error. Errors:
/// - EIO: it did not answer for so long
/// - the errno of a read that the kernel refused
Result<std::vector<std::byte>> read_config(PhysicalConfig& registers, uint32_t size,
                                           std::chrono::milliseconds response_timeout,
                                           const std::string& bdf);

}  // namespace passthru
