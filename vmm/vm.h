// SPDX-License-Identifier: MIT
// A virtual machine from its options to its end: memory, firmware tables, devices, vCPUs and the
// console. `passthru run` includes only this class.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <thread>
#include <vector>

#include "base/fd.h"
#include "base/mutex.h"
#include "base/result.h"
#include "device/device_monitor.h"
#include "device/domain.h"
#include "device/inspection.h"
#include "inspect/inspect_server.h"
#include "kvm/kvm_hypervisor.h"
#include "vfio/kernel.h"
#include "vmm/assigned_function.h"
#include "vmm/bar_windows.h"
#include "vmm/boot_plan.h"
#include "vmm/bus_places.h"
#include "vmm/console.h"
#include "vmm/guest_memory.h"
#include "vmm/kvm_machine.h"
#include "vmm/pci_bus.h"
#include "vmm/serial.h"
#include "vmm/vcpu.h"
#include "vmm/vm_options.h"

namespace passthru {

enum class ExitReason {
  PowerOff,  ///< the guest switched itself off
  Reset,     ///< the guest asked for a reset, or fell into a triple fault
  Stopped,   ///< `stop` was called, or the person at the console ended it
};

/// A PC with 31 slots for assigned devices. Every end of the VM detaches them. If the process is
/// killed, the kernel closes its descriptors, and nothing else is left behind.
class Vm {
 public:
  /// Creates everything up to the first instruction. `kernel` is LinuxKernel outside of tests.
  /// Errors say the cause and what to do; nothing is left behind then.
  static Result<std::unique_ptr<Vm>> create(const VmOptions& options,
                                            std::shared_ptr<Kernel> kernel);
  ~Vm();
  Vm(const Vm&) = delete;
  Vm& operator=(const Vm&) = delete;

  /// Runs the guest until it ends; call it once. The calling thread serves the console. At the end
  /// it waits for a reader of the console's last bytes, at most OutputWriter::kPatience after the
  /// reader's last progress.
  /// Errors:
  /// - EIO: a vCPU could not continue.
  Result<ExitReason> run();
  /// Returns how many bytes of console output `run` dropped because they were not read in time.
  [[nodiscard]] uint64_t console_dropped() const { return console_dropped_; }
  /// Ends `run` soon. Callable from any thread and from signal handlers.
  void stop() { end(ExitReason::Stopped); }

  /// Returns the state of each device, in the order of the options. Callable at any time.
  [[nodiscard]] std::vector<Inspection> inspect() const;

 private:
  explicit Vm(const VmOptions& options);
  Result<void> load(const VmOptions& options, Kernel& kernel);
  Result<void> make_machine(const VmOptions& options, std::shared_ptr<Kernel> kernel);
  Result<void> make_fixed_devices();
  Result<void> take_shared_descriptors(const VmOptions& options);
  [[nodiscard]] Result<std::vector<BusPlace>> choose_places(const VmOptions& options) const;
  Result<void> assign_devices(const VmOptions& options);
  [[nodiscard]] std::vector<GuestBar> guest_bars() const;
  Result<void> describe_machine(const VmOptions& options);
  Result<void> look_after_devices(const VmOptions& options);
  Result<void> make_vcpus(unsigned cpus);

  void end(ExitReason reason);
  void wake();
  void run_vcpu(Vcpu& vcpu) PASSTHRU_EXCLUDES(failure_mutex_);
  Result<void> start_threads();
  void serve_console();
  void stop_threads();

  // In the order of creation; destroyed in reverse. RAM outlives its mappings, the machine outlives
  // its routes, and devices are destroyed before their domain.
  const int console_in_;
  const int console_out_;
  Fd wake_;  ///< eventfd: check ended_ and the serial port's room
  std::unique_ptr<GuestMemory> memory_;
  BootEntry entry_;
  std::unique_ptr<KvmMachine> machine_;
  unsigned physical_bits_ = 0;
  std::unique_ptr<KvmHypervisor> host_;
  std::unique_ptr<Domain> domain_;
  std::shared_ptr<Serial> serial_;
  std::unique_ptr<Console> console_;  ///< while `run` runs
  uint64_t console_dropped_ = 0;
  PciBus bus_;
  std::vector<std::shared_ptr<AssignedFunction>> devices_;
  std::unique_ptr<DeviceMonitor> monitor_;  ///< null: no devices
  std::unique_ptr<InspectServer> inspect_;  ///< null: no inspect socket
  std::vector<std::unique_ptr<Vcpu>> vcpus_;
  std::vector<std::thread> threads_;

  static constexpr int kRunning = -1;
  std::atomic<int> ended_{kRunning};  ///< an ExitReason; the first counts
  Mutex failure_mutex_;
  std::optional<Error> failure_ PASSTHRU_GUARDED_BY(failure_mutex_);  ///< of the first vCPU to fail
};

}  // namespace passthru
