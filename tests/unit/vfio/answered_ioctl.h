// SPDX-License-Identifier: MIT
// Answers to ioctls in place of the kernel. The binary's own ioctl (linux_kernel_test.cc) asks here
// first.
#pragma once

#include <functional>
#include <utility>

namespace passthru {

using IoctlAnswer = std::function<int(unsigned long request, void* argument)>;
inline thread_local IoctlAnswer* t_answer = nullptr;

/// While this is in scope, it answers the thread's ioctls instead of the kernel.
class Answering {
 public:
  explicit Answering(IoctlAnswer answer) : answer_(std::move(answer)) { t_answer = &answer_; }
  ~Answering() { t_answer = nullptr; }
  Answering(const Answering&) = delete;
  Answering& operator=(const Answering&) = delete;

 private:
  IoctlAnswer answer_;
};

}  // namespace passthru
