// SPDX-License-Identifier: MIT
// A PCI device of the host while it belongs to a guest: the only class that a VMM includes. Behind
// it are config space, BARs and MSI-X; in front of it are a VMM's vCPU threads.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "device/domain.h"
#include "device/inspection.h"
#include "mmap/bar_layout.h"
#include "mmap/msix_placement.h"
#include "pci/bdf.h"
#include "vfio/device_source.h"
#include "vfio/vf_token.h"

namespace passthru {

/// The expansion ROM that the guest finds.
struct RomChoice {
  enum class Kind {
    Device,  ///< the device's own, if it has a ROM that can be read
    Off,     ///< no ROM; nothing accesses the device's own
    File,    ///< the content of `file`, at most 16 MiB; nothing accesses the device's own
  };
  Kind kind = Kind::Device;
  std::string file{};
  bool operator==(const RomChoice&) const = default;
};

/// What happens when the host asks for a device that the guest has.
enum class OnUnplug {
  Detach,  ///< detach it at once; the guest sees a surprise removal
  Tell,    ///< call Hypervisor::on_event; the host waits until the VMM detaches it
};

/// The side that puts BARs into the guest, when the guest gives them an address.
enum class Placement {
  Library,  ///< the library, into Domain::mmio() and ports()
  Vmm,      ///< the VMM, in Hypervisor::place_bar
};

/// How a device begins to work for the guest.
enum class DeviceStart {
  Reset,  ///< it is reset, and the guest finds it as after power-on
  Keep,   ///< it goes on from the state that another process has saved; see `load_state`
};

/// How a device is to be assigned.
struct AssignOptions {
  Bdf device{};         ///< on the host; not needed if the source has the device's descriptor
  Bdf guest_address{};  ///< in the guest; its requester id goes with every interrupt
  /// Assigns the device even without interrupt remapping. The guest could then forge interrupts of
  /// the host.
  bool allow_unsafe_interrupts = false;
  /// The token of a physical function on vfio-pci. For a virtual function: the token that was set
  /// when its physical function was opened. For a physical function: the token that the users of
  /// its virtual functions will need.
  std::optional<VfToken> vf_token{};
  /// Memory BARs that are not mapped into the guest (bit n: BAR n): every access exits.
  unsigned unmapped_bars = 0;
  Placement placement = Placement::Library;
  /// The guest finds other functions in the same slot (bit 7 of the header type).
  bool multifunction = false;
  /// The guest finds the function on its root bus, without a port above it. Features that need a
  /// port are then hidden: AtomicOps, OBFF, LTR, 10-bit tags.
  bool on_root_bus = false;
  MsixChoice msix{};
  RomChoice rom{};
  OnUnplug on_unplug = OnUnplug::Detach;
  /// The maximum number of interrupts a second of each vector of MSI and MSI-X, up to 1,000,000.
  /// Interrupts that come sooner are merged, and the last is never lost. They pass through the
  /// forwarder then. 0: no limit.
  uint32_t max_interrupts_per_second = 0;
  /// The maximum number of MSI-X vectors, and of MSI vectors, that the guest finds: 1 to 2048. That
  /// of MSI is rounded down to a power of two. For a guest that has fewer interrupts than the
  /// device has vectors. 0: all that the device has.
  uint32_t max_vectors = 0;
  /// How long a device may answer all ones before it fails to open. After a reset, a device may
  /// take a second until it answers again (PCIe 4.0, 6.6.1).
  std::chrono::milliseconds response_timeout{1000};
  /// How long a device that a guest has may answer all ones before it counts as gone and is
  /// detached. Firmware updates and resets of a physical function take seconds. As soon as two
  /// reads find the device silent, its BARs leave the guest; they come back when it answers. A
  /// device that has left sysfs is detached at once. Linux itself waits 60 s after a reset.
  std::chrono::milliseconds max_silence{60'000};
  /// Keep: the device is open in another process, or was until this process replaced it by exec.
  /// The DeviceSource has its own descriptor or its group's, from there, and Domain::dma() has the
  /// iommufd or the container. Add the guest's memory first: the same memory at the same addresses.
  DeviceStart start = DeviceStart::Reset;
  /// Whether Passthru resets the device: at its open, for the guest, with the VM, and at the end.
  /// If not, the guest finds the state that the device's last user left, data included, and no
  /// function-level reset: their bits are hidden. An event warns of this at the open. The kernel
  /// itself resets a device when it is opened first and closed last, if it knows a method (sysfs:
  /// `reset_method`).
  bool reset = true;
};

/// An assigned device. All calls are thread-safe.
class AssignedDevice {
 public:
  /// Opens the device, gives it the guest's memory, resets it, and leaves it as hardware is after
  /// power-on. `source` says how to open it; the default depends on the machine. Errors name the
  /// device, the cause and the remedy.
  ///
  /// A device without a reset of its own is reset with its slot or bus. For that, the VM must own
  /// the IOMMU groups of all functions there, or with iommufd the functions. No guest may have
  /// accessed a device there. Otherwise the device is not reset, and an event says why.
  ///
  /// With DeviceStart::Keep, the device is not reset and its DMA goes on. Until `load_state`, the
  /// guest finds an empty slot. If this object ends before, the device goes on for the other
  /// process.
  ///
  /// Errors of the device:
  /// - ENOENT: it does not exist.
  /// - EINVAL: it is a bridge or not a PCI function.
  /// - ENOTSUP: it is behind a VMD.
  /// - ENODEV: it is not bound to vfio-pci.
  /// - EBUSY: another process uses it.
  /// - EPERM: its group is not viable, interrupt remapping is missing, or firmware reserves memory
  ///   for the device.
  /// - EACCES: no permission on /dev/vfio, or the VF token is wrong.
  /// - ENOMEM: RLIMIT_MEMLOCK is too small.
  /// - ENOTSUP: the options ask for its own node: it has none, or the node takes no token.
  /// - EIO: it answers all ones.
  /// - EAGAIN, EBUSY: the host held the device for 0.5 s, so it could not be reset.
  ///
  /// Errors of the options:
  /// - EINVAL, ENOSPC: MSI-X cannot be in the chosen place.
  /// - EINVAL: the device takes no VF token, or the ROM file is empty.
  /// - EINVAL: DeviceStart::Keep, and a descriptor of the other process is missing.
  /// - EFBIG: the ROM file is too large.
  /// - the errno of reading the ROM file.
  static Result<std::unique_ptr<AssignedDevice>> open(Domain& domain, const AssignOptions& options,
                                                      DeviceSource source = {});

  /// Detaches the device, unless it is detached. After `save_state`, closes its descriptors.
  ///
  /// No thread may be in a call of this object, or call it afterwards. If config accesses come
  /// through an AddressSpace (an ECAM window), first take the function off its bus, then call
  /// `wait_for_readers()` of that space. Accesses to the BARs may go on: the destructor waits for
  /// them. Must not run inside an access.
  ~AssignedDevice();

  /// Reads or writes config space. `offset` is below 4096, `width` is 1, 2 or 4. An access that
  /// crosses a 4-byte boundary is legal and done by bytes. Bytes that do not exist read as all
  /// ones.
  uint32_t config_read(uint32_t offset, unsigned width);
  void config_write(uint32_t offset, unsigned width, uint32_t value);

  /// Returns the parts of a BAR (0 to 5, 6: the expansion ROM) in ascending order, without gaps.
  /// Empty if the device has no such BAR or was detached. The parts do not change while the device
  /// is attached.
  ///
  /// A mapped part consists of whole pages of the host, with one exception: a BAR smaller than a
  /// page has its page for itself, so map the whole page. The memory is device memory
  /// (GuestMapping), and stays mapped until a detach has removed the BAR from the guest.
  [[nodiscard]] std::vector<BarSpanMemory> bar_spans(unsigned bar) const;
  /// Returns how the guest sees a BAR and where it decodes it. The size is 0 if the device has no
  /// such BAR or was detached.
  [[nodiscard]] BarInspection bar_info(unsigned bar) const;

  /// Read or write a BAR (0 to 5, 6: the expansion ROM) as the guest sees it, whether the guest
  /// decodes it or not. For a VMM that places BARs. An access is 1 to 8 bytes wide. Bytes beyond
  /// the BAR, and all bytes after a detach, read as all ones; writes to them are dropped.
  ///
  /// They take no lock of the device. `detach` waits for accesses under way.
  void bar_read(unsigned bar, uint64_t offset, std::span<std::byte> data);
  void bar_write(unsigned bar, uint64_t offset, std::span<const std::byte> data);

  /// Reports that the guest has ended an interrupt on the line of this device's INTx pin. For a VMM
  /// whose Hypervisor has `intx_by_level`. The VMM calls it for every device on the line, and holds
  /// no lock that its `set_intx` takes. With resampling irqfds no call is needed.
  void end_of_intx();

  /// Translates the messages of live vectors again. Call it when the answers of
  /// Hypervisor::translate have changed, because the guest invalidated entries of the VMM's
  /// interrupt remapping or switched it. `concerns` selects the messages, by default all.
  ///
  /// - If the answer differs, the route changes, without SET_IRQS.
  /// - If a message is now refused, its vector latches interrupts.
  /// - If a refused message is accepted again, its vector goes live as by an unmask. An interrupt
  /// that fired meanwhile is delivered once.
  ///
  /// The VMM holds no lock that its `translate` takes. Must not be called from inside a call of
  /// Hypervisor.
  void retranslate(const MessageFilter& concerns = [](const MsiMessage&) { return true; });

  /// Starts (`on`) or stops watching a vector of the running guest. While it is watched, its
  /// interrupts pass through the forwarder, which times them (`inspect`) and traces them
  /// (`Domain::interrupts().trace()`, each by its TraceLabel). No interrupt is lost or delivered
  /// twice.
  ///
  /// Errors:
  /// - ENODEV: the device was detached.
  /// - EINVAL: the device does not have the vector.
  /// - ENOSPC, EMFILE: the vector cannot be forwarded, and is as before.
  Result<void> watch(unsigned vector, bool on);

  /// Has the kernel act as if the device had signalled a vector: its loopback, for a test of the
  /// path from there to the guest. A masked vector latches it.
  ///
  /// Errors:
  /// - ENODEV: the device was detached.
  /// - EINVAL: the vector has no interrupt of the host now.
  Result<void> trigger(unsigned vector);

  /// Resets the device for a reset of the VM. The device, and everything that the guest sees of it,
  /// is then as after power-on. No vCPU may run meanwhile. A device without a reset of its own is
  /// reset with its slot or bus, if the VM owns all of it and uses nothing else there. If that
  /// fails, the guest's view is reset all the same.
  ///
  /// Errors:
  /// - ENODEV: the device was detached, or nothing resets it.
  /// - EPERM: its slot or bus has another device; see `reset_together`.
  Result<void> reset();
  /// Resets all devices of a VM. A device without a reset of its own is reset with its slot or bus,
  /// if the VM owns all of it, and all devices there that it uses are among `devices`. Skips
  /// detached devices. Of a device without AssignOptions::reset, resets only the guest's view.
  /// Tries each device and returns the first error.
  static Result<void> reset_together(std::span<AssignedDevice* const> devices);

  /// Checks the device: restores the live vectors that are damaged. Returns how many vectors were
  /// restored. If the device does not answer, and also not 10 ms later, removes its BARs from the
  /// guest until it answers, and detaches it after AssignOptions::max_silence. Must not be called
  /// from inside an access.
  ///
  /// Errors:
  /// - ENODEV: the device does not answer.
  Result<uint32_t> check_health();

  /// Returns the descriptors that receive the host's events about the device. When one is readable,
  /// call `handle_events`. They stay open as long as this object exists. `DeviceMonitor` does it
  /// (device/device_monitor.h).
  [[nodiscard]] std::vector<int> event_fds() const;
  /// Reports the events that have arrived to Hypervisor::on_event, and acts as `OnUnplug` says.
  /// Must not be called from inside an access.
  void handle_events();
  /// Returns whether the device does not answer, and is attached. It stays silent for the guest
  /// until `check_health` finds that it answers.
  [[nodiscard]] bool is_silent() const;

  /// Takes the device from the guest for good: removes its BARs, unbinds its vectors, resets the
  /// device, and closes it for the host to use. From then on the guest finds an empty slot, and
  /// `inspect` returns the last state. Does nothing if the device is detached. Must not be called
  /// from inside an access.
  void detach();

  /// Returns the descriptors that another process needs to go on with the device. They stay open as
  /// long as this object exists, also after `save_state`. Duplicate them.
  ///
  /// Errors:
  /// - ENODEV: the device was detached.
  [[nodiscard]] Result<DeviceDescriptors> descriptors() const;

  /// Stops the guest's use of the device and returns the state from which another process goes on
  /// with it (docs/state.md). The device itself goes on: it is not reset, and its DMA continues.
  ///
  /// First stop all vCPUs: the state may lack what an access under way changes. Must not be called
  /// from inside an access. Afterwards this object behaves as if the device was detached: the guest
  /// finds an empty slot. Destroy it when the other process has opened the device. Until then, do
  /// not remove the guest's memory from the Domain. To go back, open the device again with
  /// DeviceStart::Keep, and load the state.
  ///
  /// Save the state of the guest's interrupt controller afterwards: until then, the device's
  /// interrupts still reach it.
  ///
  /// Errors (nothing has changed):
  /// - ENODEV: the device was detached.
  /// - EBUSY: the device is being reset.
  /// - EINVAL: the device waits for `load_state` itself.
  Result<std::string> save_state();

  /// Goes on from a state, for a device that was opened with DeviceStart::Keep: the guest finds its
  /// registers, BARs and vectors as they were. Call it before any vCPU runs, and after the state of
  /// the guest's interrupt controller is set.
  ///
  /// Each live vector is signalled once, because an interrupt may have been lost meanwhile. INTx
  /// fires again if it is still asserted. A vector that the kernel or the VMM refuses is reported
  /// to Hypervisor::on_event, as when the guest unmasks it.
  ///
  /// Errors (nothing has changed; load another state, `reset` the device, or destroy this object):
  /// - ENODEV: the device was detached.
  /// - EINVAL: it was not opened with DeviceStart::Keep, or goes on already.
  /// - EINVAL: the state is damaged, or of another device. The cause names the part.
  /// - ENOTSUP: a version of Passthru wrote the state that this version cannot read.
  /// - the errno of Hypervisor::map, or of the kernel.
  Result<void> load_state(std::string_view state);

  /// Returns the state of the device. Takes some milliseconds if signals are unread: it checks
  /// twice whether something reads them.
  [[nodiscard]] Inspection inspect() const;
  [[nodiscard]] Bdf bdf() const;

 private:
  class Impl;
  explicit AssignedDevice(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace passthru
