// SPDX-License-Identifier: MIT
// The ioctl calls of vfio/. Only kernel_call.cc calls ioctl. Private to vfio/linux_*.cc.
#pragma once

#include <cstdint>

#include "base/result.h"

namespace passthru {

/// Makes an ioctl. Returns the value of the kernel, 0 or more, or its errno with the name of the
/// request. `argument` is a pointer or a number, as the request expects.
Result<int> kernel_value(int fd, unsigned long request, uintptr_t argument, const char* name);

/// Makes an ioctl that takes a struct and whose return value has no meaning.
template <class Argument>
Result<void> kernel_call(int fd, unsigned long request, Argument* argument, const char* name) {
  PASSTHRU_TRY(kernel_value(fd, request, reinterpret_cast<uintptr_t>(argument), name));
  return {};
}

}  // namespace passthru
