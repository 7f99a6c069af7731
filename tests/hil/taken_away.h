// SPDX-License-Identifier: MIT
// A device that does not answer, on real VFIO, because the bridge above it forwards nothing. For
// devices of the lab that are alone below their bridge.
#pragma once

#include <array>
#include <cstddef>
#include <memory>

#include "base/fd.h"
#include "base/result.h"
#include "pci/bdf.h"

namespace passthru {

/// The bridge above a function. The destructor makes it forward accesses again.
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

 private:
  explicit Bridge(Fd config) : config_(std::move(config)) {}

  const Fd config_;
  std::array<std::byte, 2> buses_{};  ///< the secondary and the subordinate bus number
  bool passes_ = true;
};

}  // namespace passthru
