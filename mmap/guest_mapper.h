// SPDX-License-Identifier: MIT
// The mapping interface that mmap/ needs from a VMM: it maps host memory at a guest-physical
// address and unmaps it, and learns the ranges that the library answers. The VMM implements it (as
// part of device/hypervisor.h); only AddressSpace calls it.
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

/// The guest's physical memory, or its I/O ports.
enum class GuestSpace { Memory, Ports };

/// Called with AddressSpace's lock held, unless a function says otherwise: must not call back into
/// the AddressSpace.
class GuestMapper {
 public:
  virtual ~GuestMapper() = default;
  /// Maps. Never called for an address that is mapped. On error nothing is mapped.
  virtual Result<void> map(const GuestMapping& mapping) = 0;
  /// Removes exactly the mapping of one `map`. On return no vCPU reaches it any more. On error the
  /// guest may still reach it: the memory stays mapped in this process, and the caller tries again
  /// at its next change.
  virtual Result<void> unmap(const GuestMapping& mapping) = 0;
  /// Waits until the memory of mappings that were removed before may be freed. Called without the
  /// AddressSpace's lock. For a mapper that also shows the memory to devices.
  virtual void wait_for_unmapped() {}

  /// Announces a range of guest addresses that the library answers: the VMM sends accesses that
  /// exit there to `AddressSpace::read` and `write`. For a VMM that dispatches exits by address.
  /// Others need not implement it.
  ///
  /// The range is a whole window (a BAR), not page aligned. The parts of it that `map` maps do not
  /// exit. Ranges may overlap, even be equal: the guest may place two BARs at the same address. On
  /// error nothing is announced, and the change that adds the window fails.
  virtual Result<void> trap(GuestSpace /*space*/, uint64_t /*address*/, uint64_t /*size*/) {
    return {};
  }
  /// Takes back one announcement. An access that is under way may still call the AddressSpace
  /// afterwards: without a window it reads all ones.
  virtual void untrap(GuestSpace /*space*/, uint64_t /*address*/, uint64_t /*size*/) {}
};

}  // namespace passthru
