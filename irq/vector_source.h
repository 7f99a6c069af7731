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
};

}  // namespace passthru
