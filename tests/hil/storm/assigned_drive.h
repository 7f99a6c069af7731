// SPDX-License-Identifier: MIT
// An NVMe drive that is assigned without a guest: this process is the VMM, and its driver replaces
// the guest's driver.
#pragma once

#include <cstddef>
#include <cstdlib>
#include <memory>
#include <optional>

#include "device/assigned_device.h"
#include "pci/msix_layout.h"
#include "tests/hil/nvme_driver/nvme_driver.h"
#include "tests/hil/storm/polled_host.h"
#include "vfio/linux_kernel.h"

namespace passthru {

class AssignedDrive {
 public:
  /// Opens the drive and creates up to `queues` I/O queues. Queue N signals vector N, and `take`
  /// returns its interrupt.
  /// Errors:
  /// - those of AssignedDevice::open and NvmeDriver
  /// - ENOTSUP: the drive has its MSI-X table in another BAR, or among its doorbells.
  static Result<std::unique_ptr<AssignedDrive>> open(Bdf bdf, unsigned queues);
  ~AssignedDrive() = default;
  AssignedDrive(const AssignedDrive&) = delete;
  AssignedDrive& operator=(const AssignedDrive&) = delete;

  /// Returns the number of I/O queues, and so of the vectors without that of the admin queue.
  [[nodiscard]] unsigned queues() const { return queues_; }
  [[nodiscard]] NvmeDriver& driver() { return *driver_; }
  [[nodiscard]] AssignedDevice& device() { return *device_; }
  /// Waits until vectors have fired, at most `most`, and returns these vectors.
  std::vector<unsigned> take(std::chrono::milliseconds most);

 private:
  using Memory = std::unique_ptr<std::byte, decltype(&std::free)>;

  AssignedDrive(std::unique_ptr<PolledHost> host, Memory memory, size_t size);
  Result<void> assign(Bdf bdf);
  Result<void> enable_vectors();
  void write_entry(const MsixLayout& layout, unsigned vector);

  // Tear-down order: the driver stops the drive before the device leaves; memory goes last.
  const std::unique_ptr<PolledHost> host_;
  const Memory memory_;
  const size_t size_;
  Domain domain_;
  std::unique_ptr<AssignedDevice> device_;
  std::unique_ptr<NvmeDriver> driver_;
  unsigned queues_ = 0;
};

}  // namespace passthru
