// SPDX-License-Identifier: MIT
// The calls into KVM and how they fail, for kvm/ and for VMMs on KVM. linux/kvm.h stays in the
// .cc files that use it.
#pragma once

#include <cstdint>

#include "base/result.h"

namespace passthru {

/// Calls KVM on a system, VM or vCPU descriptor. `request` is the KVM_ constant and `name` its
/// spelling, which becomes the error's operation. Returns what the call returned, never negative.
/// Does not retry. Thread-safe.
Result<int> kvm_call(int fd, unsigned long request, const char* name, void* argument);
/// The same for calls whose argument is a number.
Result<int> kvm_call(int fd, unsigned long request, const char* name, uint64_t argument = 0);

/// KVM as KvmHypervisor calls it. This is the real one; a test has its own. Thread-safe.
class KvmCalls {
 public:
  virtual ~KvmCalls() = default;
  /// As `kvm_call`.
  virtual Result<int> call(int fd, unsigned long request, const char* name, void* argument);
  /// Adds 1 to an eventfd. KVM takes an armed one within this call, or later, or never.
  virtual Result<void> signal(int eventfd);

  static KvmCalls& real();
};

/// A descriptor of KVM's and how it is called. The descriptor stays the caller's.
class KvmFd {
 public:
  /// `calls` outlives it.
  explicit KvmFd(int fd, KvmCalls& calls = KvmCalls::real()) : fd_(fd), calls_(&calls) {}

  Result<int> call(unsigned long request, const char* name, void* argument) const {
    return calls_->call(fd_, request, name, argument);
  }
  /// The same for calls whose argument is a number.
  [[nodiscard]] Result<int> call(unsigned long request, const char* name,
                                 uint64_t argument = 0) const;
  /// Another descriptor, called in the same way.
  [[nodiscard]] KvmFd with(int fd) const { return KvmFd(fd, *calls_); }
  [[nodiscard]] KvmCalls& calls() const { return *calls_; }

 private:
  int fd_;
  KvmCalls* calls_;
};

}  // namespace passthru
