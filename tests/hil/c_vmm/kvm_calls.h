// SPDX-License-Identifier: MIT
// The callbacks that are one call of KVM each: irqfds, messages, INTx and VFIO's files. `vmm` is a
// struct vmm.
#ifndef PASSTHRU_TESTS_KVM_CALLS_H
#define PASSTHRU_TESTS_KVM_CALLS_H

#include <pthread.h>
#include <stdint.h>

#include "passthru/passthru.h"

struct kvm_calls {
  int vm_fd;
  pthread_mutex_t files_mutex;  ///< protects the following
  int vfio_device;              ///< KVM's VFIO device; -1: not created
};

/// Reports messages to more CPUs than an APIC id of 8 bits can name: KVM would interrupt another.
/// Returns 0 or -EINVAL.
int check_message(const struct passthru_message* message);

int irqfd_on(void* vmm, uint32_t route, int eventfd);
void irqfd_off(void* vmm, uint32_t route, int eventfd);
int signal_msi(void* vmm, uint32_t source, const struct passthru_message* message);

/// The callback of passthru_domain_create_kvm().
int intx_gsi(void* vmm, uint32_t guest_address, uint32_t pin);
int intx_on(void* vmm, uint32_t guest_address, uint32_t pin, int eventfd, int resample);
void intx_off(void* vmm, uint32_t guest_address, uint32_t pin, int eventfd);

int file_added(void* vmm, int fd);
void file_removed(void* vmm, int fd);

#endif
