// SPDX-License-Identifier: MIT
// KVM for tests: the routes, irqfds and slots of one VM as KvmHypervisor sets them. Any call can be
// made to fail. An interrupt is delivered when it is signalled, or as late as on kernels before
// 5.11, which leave the counter.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "irq/msi_message.h"
#include "kvm/kvm_call.h"

namespace passthru {

/// Not thread-safe. The VM's descriptor is `kVm`; eventfds are real.
class FakeKvm final : public KvmCalls {
 public:
  static constexpr int kVm = -10;

  Result<int> call(int fd, unsigned long request, const char* name, void* argument) override;
  Result<void> signal(int eventfd) override;

  /// Makes the nth next call of this name ("KVM_IRQFD") fail once.
  void fail_next(std::string name, int code, unsigned nth = 1);
  /// Returns the messages of KVM_SIGNAL_MSI and of signalled armed eventfds since the last call.
  std::vector<MsiMessage> delivered();
  /// Counts the calls of this name.
  [[nodiscard]] unsigned calls(const std::string& name) const {
    const auto found = calls_.find(name);
    return found == calls_.end() ? 0 : found->second;
  }

  struct Irqfd {
    uint32_t gsi = 0;
    int resample = -1;
    auto operator<=>(const Irqfd&) const = default;
  };

  /// The table's MSI routes by GSI. Pin entries are counted in `pins`.
  std::map<uint32_t, MsiMessage> routes{};
  unsigned pins = 0;
  std::map<uint32_t, uint32_t> requesters{};  ///< of routes with a requester ID, by GSI
  std::map<int, Irqfd> irqfds{};              ///< by eventfd
  std::map<uint64_t, uint64_t> memory{};      ///< sizes of slots by guest address
  bool takes_signals = true;                  ///< as Linux does since 5.11
  bool has_irqchip = true;
  bool takes_requesters = false;  ///< KVM_CAP_MSI_DEVID; not on x86
  int routes_supported = 4096;

 private:
  int capability(long number) const;
  Result<int> set_routes(const void* argument, const char* name);
  Result<int> set_irqfd(const void* argument, const char* name);
  Result<int> set_slot(const void* argument, const char* name);
  void take(int eventfd, uint32_t gsi);

  std::map<uint32_t, uint64_t> slots_;  ///< guest addresses by slot
  std::vector<MsiMessage> delivered_;
  std::map<std::string, unsigned> calls_;
  std::string failing_;
  int failing_code_ = 0;
  unsigned failing_in_ = 0;
};

}  // namespace passthru
