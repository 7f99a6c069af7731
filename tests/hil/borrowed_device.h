// SPDX-License-Identifier: MIT
// Owns a device that a test on real VFIO takes for itself and gives back: found by its ids, bound
// to vfio-pci while the object lives. For tests whose devices nobody has bound before.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "pci/bdf.h"
#include "prepare/change_plan.h"

namespace passthru {

/// The functions with these ids, ordered; empty where there are none.
std::vector<Bdf> functions_with(uint16_t vendor, uint16_t device);

/// One device on vfio-pci, until the end; then the driver that it had has it again.
class BorrowedDevice {
 public:
  /// Errors of Binding::bind, or the one that refused to be written.
  static Result<std::unique_ptr<BorrowedDevice>> borrow(Bdf bdf);
  ~BorrowedDevice();
  BorrowedDevice(const BorrowedDevice&) = delete;
  BorrowedDevice& operator=(const BorrowedDevice&) = delete;

  [[nodiscard]] Bdf bdf() const { return bdf_; }

 private:
  BorrowedDevice(Bdf bdf, std::string driver, std::filesystem::path records);

  const Bdf bdf_;
  const std::string driver_;             ///< that it had; empty: none
  const std::filesystem::path records_;  ///< of Binding, for this device alone
};

}  // namespace passthru
