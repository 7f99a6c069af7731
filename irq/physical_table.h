// SPDX-License-Identifier: MIT
// Owns a look at the device's own MSI-X state: its entries through a mapping of this process that
// no guest ever gets, its Message Control through config space. It only reads; the kernel writes.
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
  /// Maps the table's pages where VFIO allows it (VFIO_REGION_INFO_CAP_MSIX_MAPPABLE). Where it
  /// does not, `visible()` is false and entries cannot be looked at.
  PhysicalTable(std::shared_ptr<VfioDevice> device, const MsixLayout& layout);

  [[nodiscard]] bool visible() const { return mapping_.data() != nullptr; }
  /// The entry as the device has it now: four 4-byte loads, no system call. All ones where the
  /// device does not decode memory, also where that is SIGBUS. Nothing if not visible.
  [[nodiscard]] std::optional<MsixEntry> entry(unsigned vector) const;
  /// Of the same entry only what tells damage, in two loads: the lower half of the address, and
  /// vector control. The rest is 0. A load of a device takes a microsecond.
  [[nodiscard]] std::optional<MsixEntry> glance(unsigned vector) const;
  /// Message Control as the hardware has it (VFIO passes reads of it). Nothing if it cannot be
  /// read.
  [[nodiscard]] std::optional<uint16_t> control() const;
  /// The device's pending bits of the vectors [64 * word, 64 * word + 64); 0 if they cannot be
  /// read.
  [[nodiscard]] uint64_t pending(unsigned word) const;

 private:
  std::shared_ptr<VfioDevice> device_;
  MsixLayout layout_;
  MappedRegion mapping_;
  uint64_t table_in_mapping_ = 0;
};

}  // namespace passthru
