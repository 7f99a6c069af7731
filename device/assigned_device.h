// SPDX-License-Identifier: MIT
// Owns one PCI device of the host while it belongs to a guest: the only class a VMM includes.
// Behind it: config space, BARs, MSI-X. In front of it: a VMM's vCPU threads.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "device/domain.h"
#include "device/inspection.h"
#include "mmap/msix_placement.h"
#include "pci/bdf.h"
#include "vfio/device_source.h"
#include "vfio/vf_token.h"

namespace passthru {

/// What the guest finds as expansion ROM.
struct RomChoice {
  enum class Kind {
    Device,  ///< the device's own; absent where the device has none or it cannot be read
    Off,     ///< none
    File,    ///< the content of `file`, at most 16 MiB
  };
  Kind kind = Kind::Device;
  std::string file{};
  bool operator==(const RomChoice&) const = default;
};

/// What becomes of a device that the host asks for while the guest has it.
enum class OnUnplug {
  Detach,  ///< it is detached at once: to the guest, it is pulled
  Tell,    ///< Hypervisor::on_event hears of it; whoever asked waits until the VMM has detached it
};

/// How a device is to be assigned.
struct AssignOptions {
  Bdf device{};           ///< on the host; not needed where `source` has its own descriptor
  Bdf guest_address{};    ///< where the guest finds it; its requester id goes with every interrupt
  DeviceSource source{};  ///< how it is opened: by what the machine has, unless it says otherwise
  /// Assign even without interrupt remapping: the guest could then forge interrupts of the host.
  bool allow_unsafe_interrupts = false;
  /// The token of a physical function on vfio-pci. For a virtual function: the one that was set
  /// when its physical function was opened. For a physical function: the one that the users of its
  /// virtual functions will need.
  std::optional<VfToken> vf_token{};
  /// Memory BARs that are not to be mapped into the guest (bit n: BAR n): every access exits.
  unsigned unmapped_bars = 0;
  MsixChoice msix{};
  RomChoice rom{};
  OnUnplug on_unplug = OnUnplug::Detach;
  /// At most so many interrupts a second of each vector of MSI and MSI-X reach the guest, up to
  /// 1,000,000; what comes sooner becomes one, and the last is never lost. They pass through the
  /// forwarder then. 0: no limit.
  uint32_t max_interrupts_per_second = 0;
  /// For how long a device may answer all ones before it is taken for gone, or not opened. A device
  /// that is reset may take a second until it answers again (PCIe 4.0, 6.6.1).
  std::chrono::milliseconds response_timeout{1000};
};

/// An assigned device. All calls are thread-safe.
class AssignedDevice {
 public:
  /// Opens the device, gives it the guest's memory, resets it, and leaves it as hardware is after
  /// power-on. Errors name the device, the cause and what to do: ENOENT no such device, EINVAL a
  /// bridge or not a PCI function, ENODEV not bound to vfio-pci, EBUSY in use by another process,
  /// EPERM group not viable or no interrupt remapping, EACCES no permission on /dev/vfio or not the
  /// right VF token, ENOMEM RLIMIT_MEMLOCK too small, ENOTSUP to be opened by its own node where it
  /// has none, or cannot show its token there, EIO it answers all ones. Of the options: EINVAL or
  /// ENOSPC, MSI-X cannot be where it is wanted; EINVAL, a VF token is of no use for this device,
  /// or the ROM file is empty; EFBIG, it is too large; or the errno of reading it.
  static Result<std::unique_ptr<AssignedDevice>> open(Domain& domain, const AssignOptions& options);

  /// Detaches, unless that was done.
  ///
  /// Like any object, it must not be in a call when it goes, nor be called after. A VMM whose
  /// config accesses come through an AddressSpace (an ECAM window) first takes the function off its
  /// bus, then calls `wait_for_readers()` of that space: whoever found the function before has left
  /// it then. Accesses to the BARs may go on: they are waited for. Never from inside an access.
  ~AssignedDevice();

  /// Config space, `offset` below 4096, `width` 1, 2 or 4; an access that crosses a 4-byte boundary
  /// is legal and done by bytes. Reads what is not there as all ones.
  uint32_t config_read(uint32_t offset, unsigned width);
  void config_write(uint32_t offset, unsigned width, uint32_t value);

  /// The guest has ended an interrupt on the line that this device's INTx pin is wired to. For a
  /// VMM whose Hypervisor has `intx_by_level`: it calls this of every device on the line, and holds
  /// no lock meanwhile that its `set_intx` takes. With resampling irqfds there is nothing to do.
  void end_of_intx();

  /// What Hypervisor::translate answers has changed, because the guest invalidated entries of the
  /// VMM's interrupt remapping or switched it: asks again for the live vectors whose messages are
  /// concerned, by default all. Where the answer is another the route changes, without SET_IRQS; a
  /// vector whose message is refused now latches what fires; one that is refused no more goes live
  /// as by an unmask, and what fired meanwhile is delivered once. The VMM holds no lock meanwhile
  /// that its `translate` takes. Never from inside a call of Hypervisor.
  void retranslate(const MessageFilter& concerns = [](const MsiMessage&) { return true; });

  /// Looks at a vector of the running guest: from now on its signals pass through the forwarder,
  /// where they are timed (`inspect`) and traced (`Domain::interrupts().trace()`, each by its
  /// TraceLabel); or no more. Nothing is lost or delivered twice. ENODEV: the device was detached;
  /// EINVAL: it has no such vector; ENOSPC, EMFILE: it cannot be forwarded, and is as before.
  Result<void> watch(unsigned vector, bool on);

  /// Has the kernel act as if the device had signalled a vector: its loopback, for a test of the
  /// way from there to the guest. One that is masked latches it. ENODEV: the device was detached;
  /// EINVAL: the vector has no interrupt of the host now.
  Result<void> trigger(unsigned vector);

  /// The VM is reset: the device and everything the guest sees of it as after power-on. No vCPU
  /// runs meanwhile. A device without a reset of its own is reset with its slot or bus, if nothing
  /// else is there. ENODEV: it was detached, or nothing resets it; EPERM: its slot or bus has
  /// something else, see `reset_together`. What the guest sees is reset all the same.
  Result<void> reset();
  /// The same for all the devices of a VM, so that those without a reset of their own can be reset
  /// with their slot or bus, if all that is there is among `devices`. Those that were detached are
  /// passed over. Each is tried; the first error is returned.
  static Result<void> reset_together(std::span<AssignedDevice* const> devices);

  /// Looks at the device: restores what is damaged of its live vectors, and detaches a device that
  /// does not answer any more. Returns how many vectors were restored. ENODEV: it does not answer.
  /// Never from inside an access.
  Result<uint32_t> check_health();

  /// What the host has to say about the device arrives here: `handle_events` when one of these is
  /// readable. They are open as long as this object is. `DeviceMonitor` does it
  /// (device/device_monitor.h).
  [[nodiscard]] std::vector<int> event_fds() const;
  /// Passes on to Hypervisor::on_event what has arrived, and does what `OnUnplug` says. Never from
  /// inside an access.
  void handle_events();

  /// Takes the device from the guest for good: BARs leave the guest, vectors are unbound, the
  /// device is reset, and closed for the host to use. From then on the guest finds an empty slot,
  /// and `inspect` tells what was last. Nothing to do if that was done. Never from inside an
  /// access.
  void detach();

  /// Takes some milliseconds where signals wait to be taken: whether anybody does is looked at
  /// twice.
  [[nodiscard]] Inspection inspect() const;
  [[nodiscard]] Bdf bdf() const;

 private:
  class Impl;
  explicit AssignedDevice(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace passthru
