// SPDX-License-Identifier: MIT
// The description of a fake PCI device, for FakeKernel::add(). Plain values, with some of the lab's
// devices ready-made.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "pci/bdf.h"
#include "pci/msix_layout.h"
#include "vfio/device_source.h"
#include "vfio/kernel.h"

namespace passthru {

struct FakeBar {
  uint64_t size = 0;  ///< bytes, a power of two; 0: absent
  bool io = false;
  bool is_64bit = false;  ///< uses the next register too
  bool prefetchable = false;
  bool mappable = true;           ///< VFIO_REGION_INFO_FLAG_MMAP
  std::vector<MapArea> sparse{};  ///< as the kernel reports them
};

struct FakeMsix {
  unsigned vectors = 0;  ///< 0: no MSI-X
  unsigned table_bar = 0;
  uint64_t table_offset = 0;
  unsigned pba_bar = 0;
  uint64_t pba_offset = 0;
  bool mappable = true;  ///< VFIO_REGION_INFO_CAP_MSIX_MAPPABLE
  bool noresize = true;  ///< as on 6.1; false: dynamic, as on 6.12
  /// Vectors that the host has. A SET_IRQS that enables the index and needs more returns this
  /// number, positive. A SET_IRQS that adds to the index returns only ENOSPC.
  unsigned available = 2048;

  /// Returns the layout that the capability reports.
  [[nodiscard]] MsixLayout layout() const;
};

/// The offsets of the fake's capabilities. A device has those of its spec, in this order.
struct FakeCapability {
  static constexpr uint16_t kPowerManagement = 0x40;
  static constexpr uint16_t kMsi = 0xc0;
  static constexpr uint16_t kExpress = 0x60;
  static constexpr uint16_t kMsix = 0xb0;
};

struct FakeSpec {
  Bdf bdf{0, 0, 2, 0};
  uint32_t group = 2;
  uint16_t vendor = 0x1b36;
  uint16_t device = 0x0010;
  uint32_t class_code = 0x010802;
  std::array<FakeBar, 6> bars{};
  std::vector<std::byte> rom{};  ///< content; its size is the region's
  bool rom_readable = true;      ///< false: announced, but every read fails
  FakeMsix msix{};
  unsigned msi_vectors = 0;
  unsigned msi_available = 32;  ///< see FakeMsix::available
  bool msi_maskable = false;    ///< per-vector masking
  bool intx = true;
  bool power_management = true;
  bool express = true;  ///< 4096 bytes of config space, and an error interrupt
  bool resets = true;   ///< has a function-level reset
  bool on_vfio = true;  ///< bound to vfio-pci; otherwise without a driver
  /// SR-IOV: the physical function controls memory decode. A reset of the virtual function leaves
  /// it on, and the virtual function's COMMAND has no bit for it.
  bool virtual_function = false;
  std::optional<Bdf> physical{};  ///< its physical function, if that is on vfio-pci
  bool sriov = false;             ///< it can have virtual functions

  /// Returns a handle that opens the device through its group.
  [[nodiscard]] DeviceHandle door() const { return {.bdf = bdf, .group = group}; }
  [[nodiscard]] DeviceHandle cdev_door() const {
    return {.bdf = bdf, .group = group, .backend = Backend::Cdev, .cdev = cdev()};
  }
  /// Returns the name of the device's own node below /dev/vfio/devices.
  [[nodiscard]] std::string cdev() const {
    return "vfio" + std::to_string(bdf.bus * 256 + bdf.device * 8 + bdf.function);
  }

  /// QEMU's nvme: one 16 KiB BAR with registers, doorbells at 0x1000, 65 vectors at 0x2000, PBA at
  /// 0x3000.
  static FakeSpec nvme(Bdf bdf = {0, 0, 2, 0}, uint32_t group = 2);
  /// A virtual function of QEMU's nvme: the same BAR, 5 vectors, no pin.
  static FakeSpec nvme_vf(Bdf bdf = {0, 1, 0, 1}, uint32_t group = 8);
  /// QEMU's e1000e: registers, flash, an I/O BAR, 5 vectors in a BAR of their own, a ROM.
  static FakeSpec e1000e(Bdf bdf = {0, 0, 3, 0}, uint32_t group = 3);
  /// QEMU's qemu-xhci: one 16 KiB BAR with registers, 16 vectors at 0x3000, PBA in the same page.
  static FakeSpec xhci(Bdf bdf = {0, 0, 4, 0}, uint32_t group = 4);
};

}  // namespace passthru
