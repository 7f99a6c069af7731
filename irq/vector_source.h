// SPDX-License-Identifier: MIT
// Owns the question that irq/delivery asks of the guest's registers, MSI-X table or MSI capability
// alike.
#pragma once

#include "irq/msi_message.h"

namespace passthru {

/// What the guest's registers say of a vector.
class VectorSource {
 public:
  virtual ~VectorSource() = default;
  /// Whether an interrupt reaches the guest now: enabled, and masked nowhere.
  [[nodiscard]] virtual bool live(unsigned vector) const = 0;
  /// The message that it carries then.
  [[nodiscard]] virtual MsiMessage message(unsigned vector) const = 0;
  /// Whether its driver uses it no more. Vectors of MSI are used all together or not at all.
  [[nodiscard]] virtual bool given_up(unsigned /*vector*/) const { return false; }
};

}  // namespace passthru
