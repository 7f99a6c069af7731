// SPDX-License-Identifier: MIT
// Owns the contract between Passthru and a VMM: the dozen calls a VMM implements so that devices
// can be assigned to its guest. kvm/ implements it on KVM; vmm/ is a VMM that uses nothing
// else.
#pragma once

#include <cstdint>
#include <string>

#include "irq/router.h"
#include "mmap/guest_mapper.h"
#include "pci/bdf.h"
#include "vfio/iommu_space.h"

namespace passthru {

/// A report to the VMM. EventLimit bounds the events that a guest can cause.
struct Event {
  enum class Kind {
    VectorFailed,    ///< a vector could not be bound or routed; `detail` says which and why
    BarRefused,      ///< the VMM refused a mapping: the BAR stays where it was
    DamageRestored,  ///< the physical MSI-X state was restored
    RestoreFailed,   ///< it is damaged and could not be; told once until it is sound again
    DeviceReset,     ///< the guest reset its device
    ResetFailed,     ///< it tried to: what it sees of it was reset, the device was not
    UnplugRequest,   ///< the host asks for the device back; `detail` says whether it was given
    DeviceError,     ///< the device reported an uncorrectable error
    DeviceGone,      ///< it does not answer any more, and was detached
  };
  Kind kind;
  Bdf device;
  std::string detail;
};

/// What a VMM implements. Every call may come from any thread that the VMM calls Passthru on.
class Hypervisor : public GuestMapper, public Router, public VfioFileListener {
 public:
  /// KVM's VFIO device (Documentation/virt/kvm/devices/vfio.rst) is told of these; other
  /// hypervisors need not know.
  Result<void> file_added(int /*fd*/) override { return {}; }
  void file_removed(int /*fd*/) override {}

  /// Must not call back into the device it speaks of.
  virtual void on_event(const Event& event) = 0;
};

}  // namespace passthru
