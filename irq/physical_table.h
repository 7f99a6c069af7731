// SPDX-License-Identifier: MIT
// Read access to the device's own MSI-X state. Entries are read through a mapping of this process,
// which no guest gets; Message Control is read through config space. Only the kernel writes.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>

#include "irq/msix_table.h"
#include "pci/msix_layout.h"
#include "vfio/device.h"

namespace passthru {

class PhysicalTable {
 public:
  /// Maps the table's pages if VFIO allows it (VFIO_REGION_INFO_CAP_MSIX_MAPPABLE). If not,
  /// `visible()` is false and entries cannot be read.
  PhysicalTable(std::shared_ptr<VfioDevice> device, const MsixLayout& layout);

  [[nodiscard]] bool visible() const { return mapping_.data() != nullptr; }
  /// Reads the device's entry: four 4-byte loads, no system call. Returns all ones if the device
  /// does not decode memory, even if the load raises SIGBUS. Returns nullopt if the table is not
  /// visible.
  [[nodiscard]] std::optional<MsixEntry> entry(unsigned vector) const;
  /// Reads only the parts of the entry that show damage, in two loads: the lower half of the
  /// address and vector control. The rest is 0. A load from a device takes a microsecond.
  [[nodiscard]] std::optional<MsixEntry> glance(unsigned vector) const;
  /// Reads Message Control from the hardware (VFIO passes these reads through). Returns nullopt if
  /// it cannot be read.
  [[nodiscard]] std::optional<uint16_t> control() const;
  /// Returns the device's pending bits of the vectors [64 * word, 64 * word + 64), or 0 if they
  /// cannot be read.
  [[nodiscard]] uint64_t pending(unsigned word) const;

 private:
  std::shared_ptr<VfioDevice> device_;
  MsixLayout layout_;
  MappedRegion mapping_;
  uint64_t table_in_mapping_ = 0;
};

}  // namespace passthru
