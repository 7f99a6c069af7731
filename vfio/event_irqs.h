// SPDX-License-Identifier: MIT
// Owns the two interrupts by which the host kernel speaks about a device to whoever has it: that
// the device reported an uncorrectable error, and that the host wants it back.
#pragma once

#include <memory>
#include <vector>

#include "base/fd.h"
#include "base/result.h"
#include "vfio/device.h"

namespace passthru {

/// What the kernel said since it was last asked.
struct FiredEvents {
  bool error = false;   ///< an uncorrectable error (AER), as vfio-pci's error handler was told
  bool unplug = false;  ///< somebody waits in the kernel for the device to be closed
};

/// The error and request interrupts (VFIO_PCI_ERR_IRQ_INDEX, VFIO_PCI_REQ_IRQ_INDEX) of an opened
/// device, as far as it has them. A reset leaves them bound. Thread-safe.
class EventIrqs {
 public:
  /// EMFILE, ENOMEM: no eventfd can be had. Nothing is left bound on error.
  static Result<std::unique_ptr<EventIrqs>> bind(std::shared_ptr<VfioDevice> device);
  ~EventIrqs() { unbind(); }
  EventIrqs(const EventIrqs&) = delete;
  EventIrqs& operator=(const EventIrqs&) = delete;

  /// Lets the device go; the descriptors stay, and are silent. Not from two threads at once.
  void unbind();

  /// For poll: readable when there is something to `take`. Open until the end of this object.
  [[nodiscard]] std::vector<int> fds() const;
  FiredEvents take();

 private:
  EventIrqs(Kernel& kernel, std::shared_ptr<VfioDevice> device);
  Result<void> bind(Irq irq, Fd& eventfd);
  bool drain(const Fd& eventfd);

  Kernel& kernel_;
  std::shared_ptr<VfioDevice> device_;  ///< null: unbound
  Fd error_;                            ///< unless the device has it
  Fd request_;
};

}  // namespace passthru
