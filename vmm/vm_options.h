// SPDX-License-Identifier: MIT
// The options of a VM, and their limits.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "device/device_monitor.h"
#include "device/hypervisor.h"
#include "device/p2p_mapper.h"
#include "inspect/inspect_socket.h"
#include "vmm/device_argument.h"
#include "vmm/memory_backing.h"

namespace passthru {

struct VmOptions {
  static constexpr uint64_t kMinMemory = uint64_t{64} << 20;
  static constexpr uint64_t kMaxMemory = uint64_t{4} << 40;  ///< a slot of KVM has less than 8 TiB
  static constexpr unsigned kMaxCpus = 254;                  ///< 8-bit APIC ids

  std::string kernel{};                   ///< file name of a bzImage or an ELF kernel
  std::string initrd{};                   ///< file name; empty: no initrd
  std::string append{};                   ///< the kernel's command line
  uint64_t memory = uint64_t{512} << 20;  ///< bytes, a multiple of 2 MiB and of the huge page
  MemoryBacking memory_from{};            ///< kind of memory
  unsigned cpus = 1;
  /// In the order of their slots (place_on_bus); the VM fills in `guest_address`. It takes the
  /// descriptors over.
  std::vector<DeviceArgument> devices{};

  /// Interval between checks of the devices' interrupts; DeviceMonitor::kOff: no checks.
  std::chrono::milliseconds audit = DeviceMonitor::kDefaultInterval;

  /// Interrupts of devices pass through the forwarder instead of KVM's irqfds.
  bool forward_interrupts = false;

  /// Which BARs devices reach by DMA.
  P2p p2p = P2p::Auto;

  /// Path of the inspect socket. Empty: the default (InspectServer::start). No value: no socket.
  std::optional<std::filesystem::path> inspect{};
  /// Which users may connect to it.
  InspectAccess inspect_access{};

  /// An open /dev/kvm, which stays the caller's, for a process that may not, or cannot, open it.
  /// -1: the VM opens it.
  int kvm_fd = -1;

  int console_in = 0;                            ///< input of the guest's serial port; -1: no input
  int console_out = 1;                           ///< its output; a slow reader loses bytes
  std::function<void(const Event&)> on_event{};  ///< called on the thread that caused the event

  /// Checks everything that needs no files, devices or KVM.
  /// Errors:
  /// - EINVAL: a number is out of range, a device is named twice, or a descriptor has two roles.
  /// - the errors of place_on_bus.
  [[nodiscard]] Result<void> check() const;
};

}  // namespace passthru
