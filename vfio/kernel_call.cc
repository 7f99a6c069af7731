// SPDX-License-Identifier: MIT
#include "vfio/kernel_call.h"

#include <sys/ioctl.h>

namespace passthru {

Result<int> kernel_value(int fd, unsigned long request, uintptr_t argument, const char* name) {
  const int value = ::ioctl(fd, request, argument);
  if (value < 0) return fail(errno, name);
  return value;
}

}  // namespace passthru
