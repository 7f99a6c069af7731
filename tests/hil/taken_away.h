// SPDX-License-Identifier: MIT
// A device that does not answer, on real VFIO, because the bridge above it forwards nothing, or
// because its slot has no power. For devices of the lab that are alone below their bridge.
#pragma once

#include <array>
#include <cstddef>
#include <memory>

#include "base/fd.h"
#include "base/result.h"
#include "pci/bdf.h"

namespace passthru {

/// The bridge above a function. The destructor makes it forward accesses again, and switches the
/// power on.
class Bridge {
 public:
  /// Errors:
  /// - ENODEV: the function is on a root bus.
  static Result<std::unique_ptr<Bridge>> above(Bdf bdf);
  ~Bridge();
  Bridge(const Bridge&) = delete;
  Bridge& operator=(const Bridge&) = delete;

  /// Makes the bridge forward accesses or not. Without bus numbers it claims no config access to
  /// the devices below, so nothing answers.
  void pass(bool on);
  /// Switches the power of the slot. Without power nothing answers, and the device loses its state.
  /// Errors:
  /// - ENOTSUP: the slot has no power controller.
  /// - those of pread(2) and pwrite(2)
  Result<void> power(bool on);

 private:
  explicit Bridge(Fd config) : config_(std::move(config)) {}

  const Fd config_;
  std::array<std::byte, 2> buses_{};  ///< the secondary and the subordinate bus number
  bool passes_ = true;
  bool powered_ = true;
};

}  // namespace passthru
