// SPDX-License-Identifier: MIT
// A virtual CPU: its KVM descriptor, its first state, and the loop on its thread that carries exits
// to the address spaces.
#pragma once

#include <pthread.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "base/fd.h"
#include "base/result.h"
#include "mmap/address_space.h"
#include "vmm/boot_plan.h"
#include "vmm/cpuid.h"
#include "vmm/kvm_machine.h"

struct kvm_run;

namespace passthru {

class Vcpu {
 public:
  /// Why a vCPU's loop ended without an error.
  enum class End { Stopped, PowerOff, Reset };

  /// Creates vCPU `id` of `machine`. Unless `start_at` is called, it waits until another CPU starts
  /// it. Its model-specific registers are as firmware leaves them.
  static Result<std::unique_ptr<Vcpu>> create(const KvmMachine& machine, unsigned id,
                                              const std::vector<CpuidEntry>& cpuid);
  ~Vcpu();
  Vcpu(const Vcpu&) = delete;
  Vcpu& operator=(const Vcpu&) = delete;

  /// Sets the state of `entry`. Call it before the first `run`.
  Result<void> start_at(const BootEntry& entry);

  /// Runs the guest on the calling thread until `stop`, or until the guest ends the machine by a
  /// triple fault.
  /// Errors:
  /// - EIO: KVM cannot continue; says why.
  Result<End> run(const AddressSpace& ports, const AddressSpace& mmio);
  /// Makes `run` return soon, also if it has not begun. Callable from any thread, any number of
  /// times. Needs install_stop_signal.
  void stop();

 private:
  Vcpu(unsigned id, Fd fd, kvm_run* shared, size_t shared_size);
  Result<void> set_firmware_msrs();
  Result<End> loop(const AddressSpace& ports, const AddressSpace& mmio);
  void carry_port_access(const AddressSpace& ports);
  void carry_mmio_access(const AddressSpace& mmio);
  [[nodiscard]] tl::unexpected<Error> cannot_go_on(std::string why) const;

  const unsigned id_;
  const Fd fd_;
  kvm_run* const shared_;  ///< KVM's side of every exit; `immediate_exit` in it is set by `stop`
  const size_t shared_size_;
  std::atomic<bool> stopping_{false};
  std::atomic<pthread_t> thread_{};  ///< thread that runs it, or 0
};

}  // namespace passthru
