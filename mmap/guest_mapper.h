// SPDX-License-Identifier: MIT
// What mmap/ needs from a VMM: to place host memory at a guest-physical address, and to take it
// away. The VMM implements it (as part of device/hypervisor.h); only AddressSpace calls it.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/result.h"

namespace passthru {

/// Host memory seen by the guest without an exit. All fields are page aligned.
///
/// It is a device's: while that is reset or gone, an access from this process is SIGBUS, and one of
/// a guest comes back from KVM_RUN as EFAULT. A VMM that looks at it itself does so by
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
  /// Maps; never called for an address that is mapped. On error nothing is mapped.
  virtual Result<void> map(const GuestMapping& mapping) = 0;
  /// Takes away exactly what one `map` mapped; on return no vCPU reaches it any more. On error the
  /// guest may still reach it: the memory stays where it is in this process, and the caller tries
  /// again at its next change.
  virtual Result<void> unmap(const GuestMapping& mapping) = 0;
};

}  // namespace passthru
