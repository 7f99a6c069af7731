// SPDX-License-Identifier: MIT
// A device that does not answer, on real VFIO: the bridge above it passes nothing on. For devices
// of the lab, with nothing else below the bridge.
#pragma once

#include <array>
#include <cstddef>
#include <memory>

#include "base/fd.h"
#include "base/result.h"
#include "pci/bdf.h"

namespace passthru {

/// The bridge above one function. What it passed on it passes on again at the end.
class Bridge {
 public:
  /// ENODEV: the function is on a root bus.
  static Result<std::unique_ptr<Bridge>> above(Bdf bdf);
  ~Bridge();
  Bridge(const Bridge&) = delete;
  Bridge& operator=(const Bridge&) = delete;

  /// Without bus numbers it claims no access to config space of what is below: nobody answers.
  void pass(bool on);

 private:
  explicit Bridge(Fd config) : config_(std::move(config)) {}

  const Fd config_;
  std::array<std::byte, 2> buses_{};  ///< the secondary and the subordinate one
  bool passes_ = true;
};

}  // namespace passthru
