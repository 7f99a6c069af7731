// SPDX-License-Identifier: MIT
// The machine of c_vmm: the parts of vmm/, put together as Vm does for `passthru run`, but without
// Domain, AssignedDevice and KvmHypervisor.
#include "tests/hil/c_vmm/machine.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstddef>
#include <exception>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include "base/fd.h"
#include "base/mutex.h"
#include "base/result.h"
#include "mmap/access.h"
#include "mmap/address_space.h"
#include "vmm/acpi.h"
#include "vmm/boot_plan.h"
#include "vmm/console.h"
#include "vmm/guest_function.h"
#include "vmm/guest_memory.h"
#include "vmm/host_bridge.h"
#include "vmm/image_file.h"
#include "vmm/kernel_image.h"
#include "vmm/kvm_machine.h"
#include "vmm/memory_map.h"
#include "vmm/pci_bus.h"
#include "vmm/power.h"
#include "vmm/serial.h"
#include "vmm/stop_signal.h"
#include "vmm/vcpu.h"

namespace passthru {
namespace {

static_assert(MACHINE_FIRST_SLOT == KvmMachine::kFirstFreeSlot);
static_assert(MACHINE_PINS == kPins);

constexpr uint64_t kMmioLimit = uint64_t{1} << 52;
constexpr uint64_t kPortLimit = uint64_t{1} << 16;

/// Hands accesses to functions of the VMM. Its window begins at address 0, so an offset is an
/// address.
class VmmTarget final : public AccessTarget {
 public:
  using Read = void (*)(void* vmm, uint64_t address, void* data, size_t size);
  using Write = void (*)(void* vmm, uint64_t address, const void* data, size_t size);
  VmmTarget(void* vmm, Read reader, Write writer) : vmm_(vmm), read_(reader), write_(writer) {}

  void read(uint64_t offset, std::span<std::byte> data) override {
    read_(vmm_, offset, data.data(), data.size());
  }
  void write(uint64_t offset, std::span<const std::byte> data) override {
    write_(vmm_, offset, data.data(), data.size());
  }

 private:
  void* const vmm_;
  const Read read_;
  const Write write_;
};

/// The function in a slot whose config space the VMM answers.
class VmmFunction final : public GuestFunction {
 public:
  explicit VmmFunction(const machine_vmm& vmm) : vmm_(vmm) {}

  uint32_t config_read(uint32_t offset, unsigned width) override {
    return vmm_.config_read(vmm_.vmm, offset, width);
  }
  void config_write(uint32_t offset, unsigned width, uint32_t value) override {
    vmm_.config_write(vmm_.vmm, offset, width, value);
  }

 private:
  const machine_vmm vmm_;
};

}  // namespace
}  // namespace passthru

struct machine {
 public:
  static passthru::Result<std::unique_ptr<machine>> create(const machine_options& options,
                                                           const machine_vmm& vmm);
  ~machine() { end_vcpus(); }

  [[nodiscard]] int vm_fd() const { return kvm_->vm(); }
  [[nodiscard]] int end_fd() const { return end_fd_.get(); }
  [[nodiscard]] const std::vector<machine_range>& ranges() const { return ranges_; }

  passthru::Result<void> start();
  void end(machine_end how);
  passthru::Result<void> join(machine_end& how);

 private:
  passthru::Result<void> load(const machine_options& options);
  passthru::Result<void> make_memory_map(const machine_vmm& vmm);
  passthru::Result<void> make_ports(const machine_vmm& vmm);
  passthru::Result<void> make_vcpus(unsigned cpus);
  void run_vcpu(passthru::Vcpu& vcpu);
  void end_vcpus();

  // In the order of creation; destroyed in reverse.
  passthru::Fd end_fd_;
  std::unique_ptr<passthru::GuestMemory> memory_;
  passthru::BootEntry entry_;
  std::unique_ptr<passthru::KvmMachine> kvm_;
  std::vector<machine_range> ranges_;
  passthru::PciBus bus_;
  std::unique_ptr<passthru::Console> console_;  ///< from `start` to `join`
  passthru::AddressSpace mmio_{passthru::kMmioLimit, nullptr};
  passthru::AddressSpace ports_{passthru::kPortLimit, nullptr};
  std::vector<std::unique_ptr<passthru::Vcpu>> vcpus_;
  std::vector<std::thread> threads_;

  static constexpr int kRunning = -1;
  std::atomic<int> ended_{kRunning};  ///< a machine_end; the first counts
  passthru::Mutex failure_mutex_;
  std::optional<passthru::Error> failure_ PASSTHRU_GUARDED_BY(failure_mutex_);
};

using namespace passthru;

Result<std::unique_ptr<machine>> machine::create(const machine_options& options,
                                                 const machine_vmm& vmm) {
  auto made = std::make_unique<machine>();
  made->end_fd_ = Fd(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!made->end_fd_) return fail(errno, "create an eventfd");
  PASSTHRU_TRY(made->load(options));
  made->kvm_ = PASSTHRU_TRY(KvmMachine::create());
  PASSTHRU_TRY(made->kvm_->add_memory(*made->memory_));
  PASSTHRU_TRY(made->bus_.plug(0, std::make_shared<HostBridge>()));
  PASSTHRU_TRY(made->bus_.plug(MACHINE_DEVICE_SLOT, std::make_shared<VmmFunction>(vmm)));
  PASSTHRU_TRY(made->make_memory_map(vmm));
  PASSTHRU_TRY(made->make_ports(vmm));
  PASSTHRU_TRY(made->make_vcpus(options.cpus));
  return made;
}

Result<void> machine::load(const machine_options& options) {
  if (options.memory == 0 || options.memory % kMemoryStep != 0) {
    return fail(EINVAL, "make the guest's memory", "its size is not a multiple of 2 MiB");
  }
  const auto file = PASSTHRU_TRY(read_image(options.kernel, "the kernel image"));
  const KernelImage image = PASSTHRU_TRY(parse_kernel(file, options.kernel));
  std::vector<std::byte> initrd;
  if (options.initrd != nullptr) initrd = PASSTHRU_TRY(read_image(options.initrd, "the initrd"));
  memory_ = PASSTHRU_TRY(GuestMemory::create(options.memory));
  const BootPlan plan = PASSTHRU_TRY(plan_boot(memory_->layout(), image, initrd, options.append));
  PASSTHRU_TRY(plan.write_to(*memory_));
  entry_ = plan.entry;
  return memory_->write(kAcpiTables, build_acpi_tables(kAcpiTables, options.cpus));
}

// The window that is added first answers. So the VMM gets what is left over.
Result<void> machine::make_memory_map(const machine_vmm& vmm) {
  for (const GuestMemory::Range& range : memory_->ranges()) {
    ranges_.push_back({range.address, range.bytes.size(), range.bytes.data()});
  }
  ranges_.push_back({kIoapic, 0x1000, nullptr});
  ranges_.push_back({kLocalApic, 0x100000, nullptr});
  ranges_.push_back({kKvmIdentityPage, 0x4000, nullptr});
  AddressSpaceChange mmio;
  for (const machine_range& range : ranges_) {
    mmio.add.push_back({.base = range.address, .size = range.size});
  }
  ranges_.push_back({kEcam, kEcamSize, nullptr});
  mmio.add.push_back({.base = kEcam, .size = kEcamSize, .target = std::make_shared<Ecam>(bus_)});
  mmio.add.push_back(
      {.base = 0,
       .size = kMmioLimit,
       .target = std::make_shared<VmmTarget>(vmm.vmm, vmm.mmio_read, vmm.mmio_write)});
  static_cast<void>(PASSTHRU_TRY(mmio_.commit(std::move(mmio))));
  return {};
}

Result<void> machine::make_ports(const machine_vmm& vmm) {
  const auto reset = [this] { end(MACHINE_RESET); };
  const auto power_off = [this] { end(MACHINE_POWER_OFF); };
  AddressSpaceChange ports;
  ports.add = {
      {.base = kSerialPort,
       .size = Serial::kSize,
       .target = std::make_shared<Serial>(Serial::Wires{
           .interrupt = [this](bool level) { kvm_->set_line(kSerialGsi, level); },
           .send = [this](std::byte byte) { console_->write(byte); },
           .room = [] {},  // the console has no input
       })},
      {.base = kKeyboardPort, .size = 1, .target = std::make_shared<KeyboardReset>(reset)},
      {.base = kPowerPort,
       .size = PowerRegisters::kSize,
       .target = std::make_shared<PowerRegisters>(power_off)},
      {.base = kPciConfigPort, .size = 8, .target = std::make_shared<ConfigPorts>(bus_, reset)},
      {.base = 0,
       .size = kPortLimit,
       .target = std::make_shared<VmmTarget>(vmm.vmm, vmm.port_read, vmm.port_write)},
  };
  static_cast<void>(PASSTHRU_TRY(ports_.commit(std::move(ports))));
  return {};
}

Result<void> machine::make_vcpus(unsigned cpus) {
  const auto supported = PASSTHRU_TRY(kvm_->supported_cpuid());
  for (unsigned id = 0; id < cpus; ++id) {
    vcpus_.push_back(PASSTHRU_TRY(Vcpu::create(*kvm_, id, cpuid_of(supported, id, cpus))));
  }
  if (vcpus_.empty()) return fail(EINVAL, "make the guest's CPUs", "the guest needs a CPU");
  return vcpus_.front()->start_at(entry_);
}

void machine::run_vcpu(Vcpu& vcpu) {
  const auto ended = vcpu.run(ports_, mmio_);
  if (!ended) {
    MutexLock lock(failure_mutex_);
    if (!failure_) failure_ = ended.error();
    end(MACHINE_STOPPED);
  } else if (*ended != Vcpu::End::Stopped) {
    end(*ended == Vcpu::End::PowerOff ? MACHINE_POWER_OFF : MACHINE_RESET);
  }
}

Result<void> machine::start() {
  PASSTHRU_TRY(install_stop_signal());
  console_ = PASSTHRU_TRY(Console::open(-1, STDOUT_FILENO));
  try {
    for (auto& vcpu : vcpus_) threads_.emplace_back([this, &vcpu = *vcpu] { run_vcpu(vcpu); });
  } catch (const std::system_error& error) {
    return fail(error.code().value(), "start a vCPU's thread");
  }
  return {};
}

void machine::end(machine_end how) {
  int running = kRunning;
  ended_.compare_exchange_strong(running, how);
  const uint64_t one = 1;
  // Fails only if the counter is full: then the descriptor is readable already.
  static_cast<void>(::write(end_fd_.get(), &one, sizeof(one)) == sizeof(one));
}

void machine::end_vcpus() {
  for (auto& vcpu : vcpus_) vcpu->stop();
  for (auto& thread : threads_) thread.join();
  threads_.clear();
}

Result<void> machine::join(machine_end& how) {
  end_vcpus();
  if (console_) static_cast<void>(console_->finish());
  const int ended = ended_;
  how = ended == kRunning ? MACHINE_STOPPED : static_cast<machine_end>(ended);
  MutexLock lock(failure_mutex_);
  if (failure_) return tl::unexpected(*failure_);
  return {};
}

// ---- the functions for C ----------------------------------------------------------------------

namespace {

thread_local std::string last_error_text;

/// Runs `body`, which returns a Result<void>. Returns 0 or -errno.
template <class Body>
int for_c(Body body) noexcept {
  try {
    const Result<void> done = body();
    if (done) return 0;
    last_error_text = done.error().message();
    return -done.error().code;
  } catch (const std::exception&) {
    return -ENOMEM;
  }
}

}  // namespace

int machine_create(const machine_options* options, const machine_vmm* vmm, machine** made) {
  return for_c([&]() -> Result<void> {
    *made = PASSTHRU_TRY(machine::create(*options, *vmm)).release();
    return {};
  });
}

void machine_destroy(machine* pc) {
  delete pc;
}

const char* machine_last_error() {
  return last_error_text.c_str();
}

int machine_vm_fd(const machine* pc) {
  return pc->vm_fd();
}

uint32_t machine_intx_gsi(uint32_t slot, uint32_t pin) {
  return intx_gsi(slot, pin);
}

const machine_range* machine_ranges(const machine* pc, size_t* count) {
  *count = pc->ranges().size();
  return pc->ranges().data();
}

int machine_start(machine* pc) {
  return for_c([&] { return pc->start(); });
}

int machine_end_fd(const machine* pc) {
  return pc->end_fd();
}

void machine_stop(machine* pc) {
  pc->end(MACHINE_STOPPED);
}

int machine_join(machine* pc, machine_end* end) {
  return for_c([&] { return pc->join(*end); });
}
