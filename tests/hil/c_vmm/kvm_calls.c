// SPDX-License-Identifier: MIT
#define _GNU_SOURCE
#include "tests/hil/c_vmm/kvm_calls.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <stdbool.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "tests/hil/c_vmm/c_vmm.h"

int check_message(const struct passthru_message* message) {
  return message->address >> 32 == 0 ? 0 : -EINVAL;
}

static int set_irqfd(const struct vmm* vmm, uint32_t gsi, int eventfd, uint32_t flags,
                     int resample) {
  struct kvm_irqfd irqfd = {
      .fd = (uint32_t)eventfd, .gsi = gsi, .flags = flags, .resamplefd = (uint32_t)resample};
  return ioctl(vmm->kvm_calls.vm_fd, KVM_IRQFD, &irqfd) < 0 ? -errno : 0;
}

// ---- MSI and MSI-X ----------------------------------------------------------------------------

// If the counter is not 0, KVM delivers it now and leaves it as it is. KVM takes later signals when
// they are raised. So this clears the counter.
int irqfd_on(void* opaque, uint32_t route, int eventfd) {
  struct vmm* const vmm = opaque;
  const int failed = set_irqfd(vmm, route_gsi(route), eventfd, 0, 0);
  if (failed != 0) return failed;
  uint64_t delivered = 0;
  const bool never_waits = (fcntl(eventfd, F_GETFL) & O_NONBLOCK) != 0;
  if (never_waits && read(eventfd, &delivered, sizeof delivered) < 0 && errno != EAGAIN) {
    const int error = -errno;
    (void)set_irqfd(vmm, route_gsi(route), eventfd, KVM_IRQFD_FLAG_DEASSIGN, 0);
    return error;
  }
  COUNT(vmm, irqfd_on);
  return 0;
}

void irqfd_off(void* opaque, uint32_t route, int eventfd) {
  struct vmm* const vmm = opaque;
  if (set_irqfd(vmm, route_gsi(route), eventfd, KVM_IRQFD_FLAG_DEASSIGN, 0) == 0) {
    COUNT(vmm, irqfd_off);
  }
}

int signal_msi(void* opaque, uint32_t source, const struct passthru_message* message) {
  struct vmm* const vmm = opaque;
  (void)source;  // KVM on x86 takes no requester id
  const int wrong = check_message(message);
  if (wrong != 0) return wrong;
  struct kvm_msi msi = {.address_lo = (uint32_t)message->address, .data = message->data};
  // KVM returns 0 if the guest blocks the interrupt; hardware would also lose it.
  if (ioctl(vmm->kvm_calls.vm_fd, KVM_SIGNAL_MSI, &msi) < 0) return -errno;
  COUNT(vmm, signal_msi);
  return 0;
}

// ---- INTx -------------------------------------------------------------------------------------

int intx_gsi(void* opaque, uint32_t guest_address, uint32_t pin) {
  (void)opaque;
  return (int)machine_intx_gsi(guest_address >> 3 & 0x1F, pin);
}

int intx_on(void* opaque, uint32_t guest_address, uint32_t pin, int eventfd, int resample) {
  struct vmm* const vmm = opaque;
  const uint32_t gsi = (uint32_t)intx_gsi(vmm, guest_address, pin);
  const int failed = set_irqfd(vmm, gsi, eventfd, KVM_IRQFD_FLAG_RESAMPLE, resample);
  if (failed == 0) COUNT(vmm, intx_on);
  return failed;
}

// KVM lowers the line when its last resampling irqfd is removed.
void intx_off(void* opaque, uint32_t guest_address, uint32_t pin, int eventfd) {
  struct vmm* const vmm = opaque;
  const uint32_t gsi = (uint32_t)intx_gsi(vmm, guest_address, pin);
  if (set_irqfd(vmm, gsi, eventfd, KVM_IRQFD_FLAG_DEASSIGN, 0) == 0) COUNT(vmm, intx_off);
}

// ---- VFIO's files -----------------------------------------------------------------------------

static int set_file(const struct kvm_calls* calls, uint64_t action, int fd) {
  struct kvm_device_attr set = {
      .group = KVM_DEV_VFIO_GROUP, .attr = action, .addr = (uintptr_t)&fd};
  return ioctl(calls->vfio_device, KVM_SET_DEVICE_ATTR, &set) < 0 ? -errno : 0;
}

/// Creates KVM's VFIO device for the first file. Returns 0 or -errno; -ENODEV if this KVM has none.
static int make_vfio_device(struct kvm_calls* calls) {
  if (calls->vfio_device >= 0) return 0;
  struct kvm_create_device create = {.type = KVM_DEV_TYPE_VFIO};
  if (ioctl(calls->vm_fd, KVM_CREATE_DEVICE, &create) < 0) return -errno;
  calls->vfio_device = (int)create.fd;
  return 0;
}

int file_added(void* opaque, int fd) {
  struct vmm* const vmm = opaque;
  struct kvm_calls* const calls = &vmm->kvm_calls;
  pthread_mutex_lock(&calls->files_mutex);
  int failed = make_vfio_device(calls);
  if (failed == 0) failed = set_file(calls, KVM_DEV_VFIO_GROUP_ADD, fd);
  pthread_mutex_unlock(&calls->files_mutex);
  if (failed == 0) COUNT(vmm, file_added);
  return failed == -ENODEV ? 0 : failed;  // nothing on x86 needs the VFIO device
}

void file_removed(void* opaque, int fd) {
  struct vmm* const vmm = opaque;
  struct kvm_calls* const calls = &vmm->kvm_calls;
  pthread_mutex_lock(&calls->files_mutex);
  const int failed = calls->vfio_device < 0 ? -ENODEV : set_file(calls, KVM_DEV_VFIO_GROUP_DEL, fd);
  pthread_mutex_unlock(&calls->files_mutex);
  if (failed == 0) COUNT(vmm, file_removed);
}
