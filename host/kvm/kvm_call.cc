// SPDX-License-Identifier: MIT
// Owns the one place that calls ioctl on KVM's descriptors.
#include "host/kvm/kvm_call.h"

#include <sys/ioctl.h>

#include <cerrno>

namespace passthru {

Result<int> kvm_call(int fd, unsigned long request, const char* name, void* argument) {
  const int value = ::ioctl(fd, request, argument);
  if (value < 0) return fail(errno, name);
  return value;
}

Result<int> kvm_call(int fd, unsigned long request, const char* name, uint64_t argument) {
  const int value = ::ioctl(fd, request, argument);
  if (value < 0) return fail(errno, name);
  return value;
}

}  // namespace passthru
