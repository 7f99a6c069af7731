// SPDX-License-Identifier: MIT
// Owns how vfio/ makes an ioctl: kernel_call.cc is the only file there that calls ioctl. Private to
// vfio/linux_*.cc.
#pragma once

#include <cstdint>

#include "base/result.h"

namespace passthru {

/// What the kernel returns, 0 or more, or its errno with the request's name. `argument` is what the
/// request takes: a pointer, or a number.
Result<int> kernel_value(int fd, unsigned long request, uintptr_t argument, const char* name);

/// The same for a request that takes a struct and whose return value says nothing.
template <class Argument>
Result<void> kernel_call(int fd, unsigned long request, Argument* argument, const char* name) {
  PASSTHRU_TRY(kernel_value(fd, request, reinterpret_cast<uintptr_t>(argument), name));
  return {};
}

}  // namespace passthru
