// SPDX-License-Identifier: MIT
// The mapping interface that mmap/ needs from a VMM: it maps host memory at a guest-physical
// address and unmaps it. The VMM implements it (as part of device/hypervisor.h); only AddressSpace
// calls it.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/result.h"

namespace passthru {

/// Host memory that the guest reaches without an exit. All fields are page aligned.
///
/// It is device memory. While the device is reset or gone, an access from this process raises
/// SIGBUS, and an access of a guest returns from KVM_RUN as EFAULT. A VMM that reads it itself uses
/// `try_read_mmio` (vfio/mmio_read.h).
struct GuestMapping {
  uint64_t address = 0;         ///< guest-physical
  uint64_t size = 0;            ///< bytes
  std::byte* memory = nullptr;  ///< in this process; device memory, not RAM
  auto operator<=>(const GuestMapping&) const = default;  // NOLINT(modernize-use-nullptr): false
};

/// Called with AddressSpace's lock held: must not call back into the AddressSpace.
class GuestMapper {
 public:
  virtual ~GuestMapper() = default;
  /// Maps. Never called for an address that is mapped. On error nothing is mapped.
  virtual Result<void> map(const GuestMapping& mapping) = 0;
  /// Removes exactly the mapping of one `map`. On return no vCPU reaches it any more. On error the
  /// guest may still reach it: the memory stays mapped in this process, and the caller tries again
  /// at its next change.
  virtual Result<void> unmap(const GuestMapping& mapping) = 0;
};

}  // namespace passthru
