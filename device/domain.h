// SPDX-License-Identifier: MIT
// The resources that the assigned devices of one VM share: the host kernel, the guest's memory for
// their DMA, and the address spaces of their BARs. A VMM creates a Domain for each VM and adds the
// guest's RAM.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "base/result.h"
#include "device/bus_resets.h"
#include "device/hypervisor.h"
#include "device/left_bars.h"
#include "device/p2p_mapper.h"
#include "device/trace_marks.h"
#include "irq/forwarding_router.h"
#include "mmap/address_space.h"
#include "pci/sysfs.h"
#include "vfio/dma_space.h"
#include "vfio/kernel.h"

namespace passthru {

/// The devices' side of a VM. Outlives every AssignedDevice opened in it.
class Domain {
 public:
  /// `kernel` is LinuxKernel outside of tests. `sysfs` is the kernel's view of its devices.
  Domain(std::shared_ptr<Kernel> kernel, Hypervisor& hypervisor, Sysfs sysfs = Sysfs{});

  /// Adds guest RAM that devices may reach: `memory` appears to them at guest-physical `address`.
  /// It is mapped for DMA now if a device is attached, otherwise when the first device is attached.
  /// Waits for BARs that leave these addresses, and while the kernel maps other memory.
  ///
  /// Errors:
  /// - EINVAL: the memory is not page aligned, or overlaps.
  /// - ENOMEM: RLIMIT_MEMLOCK is too small; the error says how much is needed.
  Result<void> add_memory(uint64_t address, std::span<std::byte> memory, bool writable = true);
  /// Adds guest RAM that is a file, which this process has mapped from `offset` on at `memory`. The
  /// kernel maps the file for DMA if it can (Linux 6.13 with iommufd; a memfd, tmpfs or hugetlbfs),
  /// and `memory` otherwise. Keeps a copy of `fd` until the memory is removed.
  ///
  /// Errors:
  /// - EBADF: `fd` is not open.
  /// - EINVAL: `offset` is not page aligned.
  /// - the errors of `add_memory`.
  Result<void> add_memory_file(uint64_t address, int fd, uint64_t offset,
                               std::span<std::byte> memory, bool writable = true);
  Result<void> remove_memory(uint64_t address);
  /// Returns the guest addresses at which RAM can be added for the devices that are attached, in
  /// ascending order. All others are reserved, on x86 for interrupt messages and host devices.
  /// Empty if no device is attached: a device that is attached later may restrict them further.
  ///
  /// Errors:
  /// - the errno of the kernel.
  Result<std::vector<IovaRange>> usable_iova_ranges();

  /// Chooses which BARs devices reach by DMA. Call it before the first device is opened.
  ///
  /// Errors:
  /// - EBUSY: a device is or was open.
  Result<void> use_p2p(P2p choice) { return peers_.use(choice); }

  /// The VMM sends its guest's MMIO and port exits here, and may add its own windows.
  AddressSpace& mmio() { return mmio_; }
  AddressSpace& ports() { return ports_; }

  /// Returns the router of interrupts that no irqfd takes. A VMM that drives them from its own loop
  /// gives its forwarder here (`ForwardingRouter::adopt`) before it opens a device.
  [[nodiscard]] ForwardingRouter& interrupts() { return interrupts_; }

  /// Returns the marks that a trace shows besides interrupts.
  [[nodiscard]] TraceMarks& marks() { return marks_; }

  [[nodiscard]] Kernel& kernel() { return *kernel_; }
  [[nodiscard]] Hypervisor& hypervisor() { return hypervisor_; }
  [[nodiscard]] DmaSpace& dma() { return dma_; }
  [[nodiscard]] P2pMapper& peers() { return peers_; }
  [[nodiscard]] BusResets& bus_resets() { return bus_resets_; }
  [[nodiscard]] LeftBars& left_bars() { return left_bars_; }
  [[nodiscard]] const Sysfs& sysfs() const { return sysfs_; }

 private:
  std::shared_ptr<Kernel> kernel_;
  Hypervisor& hypervisor_;
  const Sysfs sysfs_;
  ForwardingRouter interrupts_;
  TraceMarks marks_;
  BusResets bus_resets_;
  DmaSpace dma_;
  P2pMapper peers_;  ///< before mmio_, whose destructor unmaps through it
  AddressSpace mmio_;
  AddressSpace ports_;
  LeftBars left_bars_;  ///< before dma_ in tear-down: it keeps devices open
};

}  // namespace passthru
