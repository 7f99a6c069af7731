// SPDX-License-Identifier: MIT
// Owns KVM's VFIO device, by which a VM's KVM knows the files of its assigned devices. KvmHost has
// one; made when the first file comes.
#pragma once

#include "vfio/fd.h"
#include "vfio/result.h"

namespace passthru {

/// Documentation/virt/kvm/devices/vfio.rst. Not thread-safe.
class KvmVfioDevice {
 public:
  /// `vm_fd` stays the caller's and outlives it.
  explicit KvmVfioDevice(int vm_fd) : vm_fd_(vm_fd) {}

  /// A group's file, or a device's own. Nothing to do where this KVM has no such device. KVM keeps
  /// the file open until it is removed.
  Result<void> add(int fd);
  void remove(int fd);

 private:
  const int vm_fd_;
  bool absent_ = false;
  Fd device_;
};

}  // namespace passthru
