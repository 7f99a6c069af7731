// SPDX-License-Identifier: MIT
// KVM's VFIO device, by which a VM's KVM knows the files of its assigned devices. KvmHypervisor has
// one; made when the first file comes.
#pragma once

#include "base/fd.h"
#include "base/result.h"
#include "kvm/kvm_call.h"

namespace passthru {

/// Documentation/virt/kvm/devices/vfio.rst. Not thread-safe.
class KvmVfioDevice {
 public:
  /// The descriptor outlives it.
  explicit KvmVfioDevice(const KvmFd& vm) : vm_(vm) {}

  /// A group's file, or a device's own. Nothing to do where this KVM has no such device. KVM keeps
  /// the file open until it is removed.
  Result<void> add(int fd);
  void remove(int fd);

 private:
  Result<void> set_file(uint64_t attribute, int fd, const char* name);

  const KvmFd vm_;
  bool absent_ = false;
  Fd device_;
};

}  // namespace passthru
