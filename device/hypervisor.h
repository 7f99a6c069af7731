// SPDX-License-Identifier: MIT
// The contract between Passthru and a VMM: the dozen calls that a VMM implements so that devices
// can be assigned to its guest. kvm/ implements it on KVM. vmm/ is a VMM that uses nothing else.
#pragma once

#include <cstdint>
#include <optional>
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
    RestoreFailed,   ///< it could not be restored; reported once until it is sound again
    DeviceReset,     ///< the guest reset its device
    ResetFailed,     ///< it failed to: its view was reset, the device was not
    UnplugRequest,   ///< the host asks for the device back; `detail` says whether it was detached
    DeviceError,     ///< the device reported an uncorrectable error
    DeviceGone,      ///< the device no longer answers, and was detached
    DeviceSilent,    ///< the device does not answer; its BARs are removed until it answers
    DeviceAnswers,   ///< it answers again, and its BARs are back
    P2pRefused,      ///< devices do not reach a BAR by DMA; once for a VM, without a device
    DeviceLimited,   ///< at its open: a part does not work as announced, or it was not reset
  };
  Kind kind;
  Bdf device;
  std::string detail;
  Bdf guest_address{};  ///< of the device
};

/// The interface that a VMM implements. Every call may come from any thread on which the VMM calls
/// Passthru.
class Hypervisor : public GuestMapper, public Router, public VfioFileListener {
 public:
  /// Reports a VFIO file, for KVM's VFIO device (Documentation/virt/kvm/devices/vfio.rst). Other
  /// hypervisors need not implement it.
  Result<void> file_added(int /*fd*/) override { return {}; }
  void file_removed(int /*fd*/) override {}

  /// Places a BAR (0 to 5, 6: the expansion ROM) of a device that was opened with Placement::Vmm:
  /// the guest now decodes it at `address`, a port for an I/O BAR. The VMM maps its spans there
  /// (AssignedDevice::bar_spans) and sends other accesses to AssignedDevice::bar_read and
  /// bar_write.
  ///
  /// Without an address, the VMM removes the BAR: decode is off, or the device is reset or
  /// detached. On return no vCPU reaches the BAR any more.
  ///
  /// Called with the device's lock held, except when the device is detached. On an error the BAR is
  /// where it was. If the VMM fails to place a BAR, the guest's write is undone (BarRefused). If it
  /// fails to remove a BAR, the BAR's memory stays mapped in this process; later calls of this
  /// function for any device are preceded by another attempt.
  virtual Result<void> place_bar(Bdf /*guest_address*/, unsigned /*bar*/,
                                 std::optional<uint64_t> /*address*/) {
    return fail(ENOTSUP, "place a BAR", "this VMM does not place BARs itself");
  }

  /// Receives an event. Must not call back into the event's device.
  virtual void on_event(const Event& event) = 0;
};

}  // namespace passthru
