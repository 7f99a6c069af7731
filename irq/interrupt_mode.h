// SPDX-License-Identifier: MIT
// The kinds of interrupt that a device can use.
#pragma once

namespace passthru {

/// A device uses at most one kind at a time.
enum class InterruptMode { None, Intx, Msi, Msix };

/// "none", "INTx", "MSI" or "MSI-X".
constexpr const char* to_string(InterruptMode mode) {
  switch (mode) {
    case InterruptMode::None:
      return "none";
    case InterruptMode::Intx:
      return "INTx";
    case InterruptMode::Msi:
      return "MSI";
    case InterruptMode::Msix:
      return "MSI-X";
  }
  return "none";
}

}  // namespace passthru
