// SPDX-License-Identifier: MIT
#include "kvm/kvm_vfio_device.h"

#include <linux/kvm.h>

namespace passthru {

// KVM_DEV_VFIO_FILE_ADD and _DEL have the same numbers, and accept both kinds of file.
Result<void> KvmVfioDevice::set_file(uint64_t attribute, int fd, const char* name) {
  int32_t file = fd;
  kvm_device_attr set{};
  set.group = KVM_DEV_VFIO_GROUP;
  set.attr = attribute;
  set.addr = reinterpret_cast<uintptr_t>(&file);
  PASSTHRU_TRY(vm_.with(device_.get()).call(KVM_SET_DEVICE_ATTR, name, &set));
  return {};
}

Result<void> KvmVfioDevice::add(int fd) {
  if (!device_ && !absent_) {
    kvm_create_device create{};
    create.type = KVM_DEV_TYPE_VFIO;
    const auto made = vm_.call(KVM_CREATE_DEVICE, "KVM_CREATE_DEVICE", &create);
    // ENODEV: KVM was built without the VFIO device. ENOTTY: KVM has no devices at all.
    absent_ = !made && (made.error().code == ENODEV || made.error().code == ENOTTY);
    if (!made && !absent_) return tl::unexpected(made.error());
    if (made) device_ = Fd(static_cast<int>(create.fd));
  }
  return absent_ ? Result<void>{} : set_file(KVM_DEV_VFIO_GROUP_ADD, fd, "KVM_DEV_VFIO_FILE_ADD");
}

void KvmVfioDevice::remove(int fd) {
  if (!device_) return;
  ignore(set_file(KVM_DEV_VFIO_GROUP_DEL, fd, "KVM_DEV_VFIO_FILE_DEL"),
         "fails only if KVM does not have the file");
}

}  // namespace passthru
