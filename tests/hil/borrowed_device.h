// SPDX-License-Identifier: MIT
// A device that a test on real VFIO finds by its ids and binds to vfio-pci for the lifetime of an
// object, for devices that are not bound yet. It uses the library's own Binding.
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

/// Returns the functions with these ids in ascending order; empty if there is no such function.
std::vector<Bdf> functions_with(uint16_t vendor, uint16_t device);

/// A device on vfio-pci. The destructor restores its driver.
class BorrowedDevice {
 public:
  /// Errors: those of Binding::bind, and of the first write that failed.
  static Result<std::unique_ptr<BorrowedDevice>> borrow(Bdf bdf);
  ~BorrowedDevice();
  BorrowedDevice(const BorrowedDevice&) = delete;
  BorrowedDevice& operator=(const BorrowedDevice&) = delete;

  [[nodiscard]] Bdf bdf() const { return bdf_; }

 private:
  BorrowedDevice(Bdf bdf, std::string driver, std::filesystem::path records);

  const Bdf bdf_;
  const std::string driver_;             ///< the driver before; empty: no driver
  const std::filesystem::path records_;  ///< of Binding, for this device only
};

}  // namespace passthru
