// SPDX-License-Identifier: MIT
// The ioctl calls of vfio/. Only kernel_call.cc calls ioctl. Private to vfio/linux_*.cc.
#pragma once

#include <fmt/format.h>

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <vector>

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

/// Asks with a VFIO struct for an answer that may be longer: the struct and its capabilities. The
/// first answer may give only the size of the whole answer, in argsz.
///
/// Errors:
/// - EMSGSIZE: the answer grows at each call, or is longer than any kernel needs.
/// - the errno of the kernel.
template <class Info>
Result<std::vector<std::byte>> whole_answer(int fd, unsigned long request, Info info,
                                            const char* name) {
  constexpr uint32_t kMaxAnswer = 1U << 20;
  std::vector<std::byte> answer(sizeof info);
  for (unsigned asked = 1;; ++asked) {
    info.argsz = static_cast<uint32_t>(answer.size());
    std::memcpy(answer.data(), &info, sizeof info);
    PASSTHRU_TRY(kernel_call(fd, request, answer.data(), name));
    Info answered{};
    std::memcpy(&answered, answer.data(), sizeof answered);
    if (answered.argsz <= answer.size()) return answer;
    if (answered.argsz > kMaxAnswer || asked == 3) {
      return fail(EMSGSIZE, name, fmt::format("the answer would take {} bytes", answered.argsz));
    }
    answer.resize(answered.argsz);
  }
}

}  // namespace passthru
