// SPDX-License-Identifier: MIT
// Owns what a VM is made of, as whoever starts one says it, and the limits of that.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "device/assigned_device.h"
#include "device/device_monitor.h"
#include "device/hypervisor.h"
#include "vmm/memory_backing.h"

namespace passthru {

struct VmOptions {
  static constexpr uint64_t kMinMemory = uint64_t{64} << 20;
  static constexpr uint64_t kMaxMemory = uint64_t{255} << 30;  ///< up to the 64-bit BAR window
  static constexpr unsigned kMaxCpus = 254;                    ///< 8-bit APIC ids
  static constexpr unsigned kMaxDevices = 31;                  ///< slots 1 to 31 of bus 0

  std::string kernel{};                   ///< file name of a bzImage or an ELF kernel
  std::string initrd{};                   ///< file name; empty: none
  std::string append{};                   ///< the kernel's command line
  uint64_t memory = uint64_t{512} << 20;  ///< bytes, a multiple of 2 MiB and of the huge page
  MemoryBacking memory_from{};            ///< what it is made of
  unsigned cpus = 1;
  /// In the order of their slots, from 1 on; `guest_address` is filled in by the VM.
  std::vector<AssignOptions> devices{};

  /// How often the devices' interrupts are looked at; DeviceMonitor::kOff: never.
  std::chrono::milliseconds audit = DeviceMonitor::kDefaultInterval;

  /// Interrupts of devices pass through the forwarder instead of KVM's irqfds.
  bool forward_interrupts = false;

  /// Where the devices can be inspected: a socket's path; empty: the default
  /// (InspectServer::start); none: nowhere.
  std::optional<std::filesystem::path> inspect{};

  /// An opened /dev/kvm, which stays the caller's: for a process that may not, or cannot, open it.
  /// -1: it is opened.
  int kvm_fd = -1;

  int console_in = 0;                            ///< bytes for the guest's serial port; -1: none
  int console_out = 1;                           ///< bytes from it; a slow reader loses some
  std::function<void(const Event&)> on_event{};  ///< told of each, on the thread that caused it

  /// Looks at everything that can be judged without files, devices or KVM. EINVAL: a number is out
  /// of range, a device is named twice, or a descriptor has two roles; ENOSPC: more devices than
  /// slots.
  [[nodiscard]] Result<void> check() const;
};

}  // namespace passthru
