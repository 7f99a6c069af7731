// SPDX-License-Identifier: MIT
// VFIO's error and request interrupts of a device. With them the host kernel reports an
// uncorrectable error, or asks for the device back.
#pragma once

#include <memory>
#include <vector>

#include "base/fd.h"
#include "base/result.h"
#include "vfio/device.h"

namespace passthru {

/// The events since the last `take`.
struct FiredEvents {
  bool error = false;   ///< vfio-pci's error handler got an uncorrectable error (AER)
  bool unplug = false;  ///< a task waits in the kernel until the device is closed
};

/// The error and request interrupts (VFIO_PCI_ERR_IRQ_INDEX, VFIO_PCI_REQ_IRQ_INDEX) of an opened
/// device, as far as the device has them. A reset leaves them bound. Thread-safe.
class EventIrqs {
 public:
  /// Creates the descriptors. Nothing reaches them before `bind`.
  ///
  /// Errors:
  /// - EMFILE, ENOMEM: no eventfd is left.
  static Result<std::unique_ptr<EventIrqs>> make(std::shared_ptr<VfioDevice> device);
  ~EventIrqs() { unbind(); }
  EventIrqs(const EventIrqs&) = delete;
  EventIrqs& operator=(const EventIrqs&) = delete;

  /// Binds both. Takes them from a process that had the device before. An error leaves nothing
  /// bound. Errors: those of the kernel.
  Result<void> bind();
  /// Releases the device. The descriptors stay open and silent. Do not call it from two threads at
  /// once.
  void unbind();

  /// Descriptors for poll, readable when `take` has an event. They stay open as long as this
  /// object.
  [[nodiscard]] std::vector<int> fds() const;
  FiredEvents take();

 private:
  EventIrqs(Kernel& kernel, std::shared_ptr<VfioDevice> device);
  Result<void> make(Irq irq, Fd& eventfd);
  Result<void> bind(Irq irq, const Fd& eventfd);
  void unbind(VfioDevice& device);
  bool drain(const Fd& eventfd);

  Kernel& kernel_;
  std::shared_ptr<VfioDevice> device_;  ///< null: released
  bool bound_ = false;
  Fd error_;  ///< unset if the device does not have it
  Fd request_;
};

}  // namespace passthru
