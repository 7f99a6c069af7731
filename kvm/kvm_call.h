// SPDX-License-Identifier: MIT
// The calls into KVM and their errors, for kvm/ and for VMMs on KVM. Only the .cc files that use it
// include linux/kvm.h.
#pragma once

#include <cstdint>

#include "base/result.h"

namespace passthru {

/// Calls KVM on a system, VM or vCPU descriptor. `request` is the KVM_ constant; `name` is its
/// spelling, which becomes the error's operation. Returns the result of the call, never negative.
/// Does not retry. Thread-safe.
Result<int> kvm_call(int fd, unsigned long request, const char* name, void* argument);
/// The same for calls whose argument is a number.
Result<int> kvm_call(int fd, unsigned long request, const char* name, uint64_t argument = 0);

/// The calls into KVM that KvmHypervisor makes. This class calls the real KVM; tests derive their
/// own. Thread-safe.
class KvmCalls {
 public:
  virtual ~KvmCalls() = default;
  /// Calls KVM as `kvm_call` does.
  virtual Result<int> call(int fd, unsigned long request, const char* name, void* argument);
  /// Adds 1 to an eventfd. KVM takes the counter of an armed eventfd within this call, later, or
  /// never.
  virtual Result<void> signal(int eventfd);

  static KvmCalls& real();
};

/// A KVM descriptor and the calls that it uses. The caller owns the descriptor.
class KvmFd {
 public:
  /// `calls` must outlive this object.
  explicit KvmFd(int fd, KvmCalls& calls = KvmCalls::real()) : fd_(fd), calls_(&calls) {}

  Result<int> call(unsigned long request, const char* name, void* argument) const {
    return calls_->call(fd_, request, name, argument);
  }
  /// The same for calls whose argument is a number.
  [[nodiscard]] Result<int> call(unsigned long request, const char* name,
                                 uint64_t argument = 0) const;
  /// Returns another descriptor that uses the same calls.
  [[nodiscard]] KvmFd with(int fd) const { return KvmFd(fd, *calls_); }
  [[nodiscard]] KvmCalls& calls() const { return *calls_; }

 private:
  int fd_;
  KvmCalls* calls_;
};

}  // namespace passthru
