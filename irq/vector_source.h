// SPDX-License-Identifier: MIT
// The interface through which Delivery reads the guest's registers: MSI-X table or MSI capability.
#pragma once

#include "irq/msi_message.h"

namespace passthru {

/// The vectors as the guest's registers describe them.
class VectorSource {
 public:
  virtual ~VectorSource() = default;
  /// Returns whether the guest has this kind of interrupt enabled.
  [[nodiscard]] virtual bool enabled() const = 0;
  /// Returns whether the guest masks this vector by a bit of its own.
  [[nodiscard]] virtual bool masked(unsigned vector) const = 0;
  /// Returns whether an interrupt reaches the guest now: enabled, and masked nowhere.
  [[nodiscard]] virtual bool live(unsigned vector) const = 0;
  /// Returns the message that the guest wrote for the vector.
  [[nodiscard]] virtual MsiMessage message(unsigned vector) const = 0;
  /// Returns whether the guest's driver has freed the vector. MSI has no way to say so.
  [[nodiscard]] virtual bool given_up(unsigned /*vector*/) const { return false; }
};

}  // namespace passthru
