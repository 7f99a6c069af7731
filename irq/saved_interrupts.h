// SPDX-License-Identifier: MIT
// The state of a device's interrupts that goes from one process to another. Plain values; the
// registers in config space are not among them.
#pragma once

#include <cstdint>
#include <vector>

#include "irq/msi_message.h"
#include "irq/msix_entry.h"

namespace passthru {

/// A vector of MSI-X.
struct SavedVector {
  MsixEntry entry{};  ///< of the guest's table
  /// Differs from the entry's message while the guest changes the entry of a live vector.
  MsiMessage in_force{};
  bool pending = false;  ///< fired, and not delivered
  bool operator==(const SavedVector&) const = default;
};

struct SavedMsix {
  std::vector<SavedVector> vectors{};  ///< empty: the guest sees no MSI-X
  unsigned allocated = 0;  ///< vectors for which the kernel has MSI-X enabled; 0: it is disabled
  bool operator==(const SavedMsix&) const = default;
};

struct SavedInterrupts {
  SavedMsix msix{};
  uint32_t msi_pending = 0;
  bool operator==(const SavedInterrupts&) const = default;
};

}  // namespace passthru
