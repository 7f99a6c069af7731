// SPDX-License-Identifier: MIT
// Owns how the rooms are put together for one device: which is told what, and in which order.
// Private to host/: a VMM includes host/assigned_device.h.
#pragma once

#include <atomic>
#include <memory>
#include <string>

#include "host/assigned_device.h"
#include "irq/interrupts.h"
#include "mmap/bars.h"
#include "mmap/config_space.h"
#include "mmap/rom_image.h"
#include "vfio/device.h"
#include "vfio/thread_annotations.h"

namespace passthru {

/// Lock order: device_mutex_, then the vectors' own, then the address spaces' own. Table and BAR
/// accesses come in below device_mutex_ and never take it.
class AssignedDevice::Impl : public VectorObserver {
 public:
  static Result<std::unique_ptr<Impl>> open(Domain& domain, const AssignOptions& options);
  ~Impl() override;

  uint32_t config_read(uint32_t offset, unsigned width) PASSTHRU_EXCLUDES(device_mutex_);
  void config_write(uint32_t offset, unsigned width, uint32_t value)
      PASSTHRU_EXCLUDES(device_mutex_);
  void end_of_intx() PASSTHRU_EXCLUDES(device_mutex_);
  Result<void> reset() PASSTHRU_EXCLUDES(device_mutex_);
  Result<uint32_t> rearm();
  [[nodiscard]] Inspection inspect() PASSTHRU_EXCLUDES(device_mutex_);

 private:
  Impl(Domain& domain, const AssignOptions& options, std::shared_ptr<VfioDevice> device);
  Result<void> assemble(const std::shared_ptr<RomImage>& rom);
  [[nodiscard]] std::vector<BarOverlay> msix_overlays() PASSTHRU_REQUIRES(device_mutex_);
  Result<void> reset_locked() PASSTHRU_REQUIRES(device_mutex_);
  void apply(const ConfigChange& change) PASSTHRU_REQUIRES(device_mutex_);
  [[nodiscard]] BarInspection inspect_bar(unsigned bar) const PASSTHRU_REQUIRES(device_mutex_);
  Result<void> turn_decode_on();

  void vector_failed(unsigned vector, const Error& error) override;
  void vectors_restored(unsigned count) override;
  void intx_failed(const Error& error) override;
  void tell(Event::Kind kind, std::string detail);

  Domain& domain_;
  const AssignOptions options_;
  Mutex device_mutex_;  ///< protects config space, the BARs' places, and the order in which both
                        ///< change
  // Tear-down order: BARs leave the guest first, then vectors are unbound, then the device is
  // closed.
  const std::shared_ptr<VfioDevice> device_;
  std::unique_ptr<ConfigSpace> config_ PASSTHRU_GUARDED_BY(device_mutex_);
  /// Set once by assemble; changes of mode are under device_mutex_, table accesses are not.
  std::unique_ptr<Interrupts> interrupts_;
  std::unique_ptr<Bars> bars_ PASSTHRU_GUARDED_BY(device_mutex_);
  std::atomic<bool> rearm_failed_ = false;  ///< the last one did
  uint64_t resets_ PASSTHRU_GUARDED_BY(device_mutex_) = 0;
};

}  // namespace passthru
