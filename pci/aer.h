// SPDX-License-Identifier: MIT
// The uncorrectable errors that a function recorded (Advanced Error Reporting; PCI Express 4.0,
// 7.8.4), as text. Pure.
#pragma once

#include <cstdint>
#include <string>

namespace passthru {

/// Two registers of the capability. A hot reset of the link leaves both as they are.
struct UncorrectableErrors {
  uint32_t status = 0;    ///< PCI_ERR_UNC_*: the errors since the bits were cleared
  uint32_t severity = 0;  ///< the same bits: the error is fatal

  /// Returns whether an error was recorded that makes the link unreliable. The kernel resets the
  /// link then.
  [[nodiscard]] bool fatal() const { return (status & severity) != 0; }
};

/// Returns "fatal error (AER): malformed TLP (status 0x00040000)". Fatal errors come first.
/// `status` is not 0.
std::string to_string(const UncorrectableErrors& errors);

}  // namespace passthru
