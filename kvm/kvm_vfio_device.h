// SPDX-License-Identifier: MIT
// KVM's VFIO device, through which a VM's KVM knows the files of its assigned devices.
// KvmHypervisor has one and creates it for the first file.
#pragma once

#include "base/fd.h"
#include "base/result.h"
#include "kvm/kvm_call.h"

namespace passthru {

/// Documentation/virt/kvm/devices/vfio.rst. Not thread-safe.
class KvmVfioDevice {
 public:
  /// The descriptor must outlive this object.
  explicit KvmVfioDevice(const KvmFd& vm) : vm_(vm) {}

  /// Adds a group's file, or a device's own file. Does nothing if KVM has no VFIO device. KVM keeps
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
