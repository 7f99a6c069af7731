// SPDX-License-Identifier: MIT
// The only place that calls ioctl on KVM's descriptors.
#include "kvm/kvm_call.h"

#include <sys/ioctl.h>
#include <unistd.h>

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

Result<int> KvmCalls::call(int fd, unsigned long request, const char* name, void* argument) {
  return kvm_call(fd, request, name, argument);
}

Result<void> KvmCalls::signal(int eventfd) {
  const uint64_t one = 1;
  if (::write(eventfd, &one, sizeof one) < 0) return fail(errno, "signal an eventfd");
  return {};
}

KvmCalls& KvmCalls::real() {
  static KvmCalls real;
  return real;
}

// ioctl takes a number or a pointer as the same argument.
Result<int> KvmFd::call(unsigned long request, const char* name, uint64_t argument) const {
  return call(request, name,
              reinterpret_cast<void*>(argument));  // NOLINT(performance-no-int-to-ptr)
}

}  // namespace passthru
