// SPDX-License-Identifier: MIT
// The vCPU's creation, and its loop.
#include "vmm/vcpu.h"

#include <fmt/format.h>
#include <linux/kvm.h>
#include <sys/mman.h>

#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstring>
#include <span>
#include <thread>

#include "kvm/kvm_call.h"
#include "kvm/kvm_table.h"
#include "vmm/entry_state.h"
#include "vmm/firmware_msrs.h"
#include "vmm/stop_signal.h"

namespace passthru {
namespace {

// How long a vCPU waits for a mapped BAR whose device does not answer. A reset can last a second
// (PCIe 6.6.2: 100 ms for a function-level reset, more until the device is ready).
constexpr auto kFaultPause = std::chrono::milliseconds(1);
constexpr unsigned kFaultPauses = 2000;

std::string exit_name(const kvm_run& run) {
  switch (run.exit_reason) {
    case KVM_EXIT_FAIL_ENTRY:
      return fmt::format("the CPU refused to enter the guest, hardware reason {:#x}",
                         uint64_t{run.fail_entry.hardware_entry_failure_reason});
    case KVM_EXIT_INTERNAL_ERROR:
      return fmt::format("KVM could not emulate what the guest did (internal error {})",
                         uint32_t{run.internal.suberror});
    default:
      return fmt::format("KVM gave up with exit reason {}", uint32_t{run.exit_reason});
  }
}

}  // namespace

Result<std::unique_ptr<Vcpu>> Vcpu::create(const KvmMachine& machine, unsigned id,
                                           const std::vector<CpuidEntry>& cpuid) {
  Fd fd(PASSTHRU_TRY(kvm_call(machine.vm(), KVM_CREATE_VCPU, "KVM_CREATE_VCPU", uint64_t{id})));
  void* shared =
      ::mmap(nullptr, machine.run_size(), PROT_READ | PROT_WRITE, MAP_SHARED, fd.get(), 0);
  if (shared == MAP_FAILED) return fail(errno, "map a vCPU's shared page");
  std::unique_ptr<Vcpu> vcpu(
      new Vcpu(id, std::move(fd), static_cast<kvm_run*>(shared), machine.run_size()));

  std::vector<kvm_cpuid_entry2> entries;
  for (const CpuidEntry& entry : cpuid) {
    kvm_cpuid_entry2 e{};
    e.function = entry.leaf;
    e.index = entry.subleaf;
    e.flags = entry.flags;
    e.eax = entry.eax;
    e.ebx = entry.ebx;
    e.ecx = entry.ecx;
    e.edx = entry.edx;
    entries.push_back(e);
  }
  KvmTable<kvm_cpuid_entry2> table(entries);
  PASSTHRU_TRY(kvm_call(vcpu->fd_.get(), kvm_table_request(KVM_SET_CPUID2), "KVM_SET_CPUID2",
                        table.argument()));
  PASSTHRU_TRY(vcpu->set_firmware_msrs());
  return vcpu;
}

Vcpu::Vcpu(unsigned id, Fd fd, kvm_run* shared, size_t shared_size)
    : id_(id), fd_(std::move(fd)), shared_(shared), shared_size_(shared_size) {}

Vcpu::~Vcpu() {
  ::munmap(shared_, shared_size_);
}

// INIT does not change these registers, so a CPU that another CPU starts has them too.
Result<void> Vcpu::set_firmware_msrs() {
  for (const FirmwareMsr& msr : kFirmwareMsrs) {
    kvm_msr_entry entry{};
    entry.index = msr.index;
    KvmTable<kvm_msr_entry> get(std::span<const kvm_msr_entry>(&entry, 1));
    const int got = PASSTHRU_TRY(
        kvm_call(fd_.get(), kvm_table_request(KVM_GET_MSRS), "KVM_GET_MSRS", get.argument()));
    entry.data = msr.after_firmware(get.entries().front().data);
    KvmTable<kvm_msr_entry> set(std::span<const kvm_msr_entry>(&entry, 1));
    const int done = PASSTHRU_TRY(
        kvm_call(fd_.get(), kvm_table_request(KVM_SET_MSRS), "KVM_SET_MSRS", set.argument()));
    if (got == 1 && done == 1) continue;  // both return the number of registers
    return fail(EINVAL, fmt::format("set {} of vCPU {}", msr.name, id_), "this KVM refuses it");
  }
  return {};
}

Result<void> Vcpu::start_at(const BootEntry& entry) {
  kvm_sregs sregs{};
  kvm_regs regs{};
  PASSTHRU_TRY(kvm_call(fd_.get(), KVM_GET_SREGS, "KVM_GET_SREGS", &sregs));
  set_entry_state(entry, sregs, regs);
  PASSTHRU_TRY(kvm_call(fd_.get(), KVM_SET_SREGS, "KVM_SET_SREGS", &sregs));
  PASSTHRU_TRY(kvm_call(fd_.get(), KVM_SET_REGS, "KVM_SET_REGS", &regs));
  return {};
}

void Vcpu::stop() {
  stopping_ = true;
  // Without this flag a signal between the loop's check of stopping_ and KVM_RUN would be lost.
  __atomic_store_n(&shared_->immediate_exit, uint8_t{1}, __ATOMIC_SEQ_CST);
  if (const pthread_t thread = thread_) ::pthread_kill(thread, stop_signal());
}

tl::unexpected<Error> Vcpu::cannot_go_on(std::string why) const {
  kvm_regs regs{};
  ignore(kvm_call(fd_.get(), KVM_GET_REGS, "KVM_GET_REGS", &regs), "only adds to the message");
  return tl::unexpected(Error{.code = EIO, .operation = fmt::format("run vCPU {}", id_)}.because(
      fmt::format("{} (at instruction {:#x})", why, uint64_t{regs.rip})));
}

Result<Vcpu::End> Vcpu::run(const AddressSpace& ports, const AddressSpace& mmio) {
  thread_ = ::pthread_self();
  auto ended = loop(ports, mmio);
  thread_ = 0;
  return ended;
}

Result<Vcpu::End> Vcpu::loop(const AddressSpace& ports, const AddressSpace& mmio) {
  unsigned faults = 0;
  while (!stopping_) {
    const auto ran = kvm_call(fd_.get(), KVM_RUN, "KVM_RUN");
    if (!ran) {
      const int code = ran.error().code;
      if (code == EINTR || code == EAGAIN) continue;
      // The guest touched a mapped BAR while its device is in reset or its decode is off. The
      // kernel has no page for it, but will have it again.
      if (code == EFAULT && ++faults <= kFaultPauses) {
        std::this_thread::sleep_for(kFaultPause);
        continue;
      }
      return cannot_go_on(fmt::format("KVM_RUN: {}", std::strerror(code)));
    }
    faults = 0;
    switch (shared_->exit_reason) {
      case KVM_EXIT_IO:
        carry_port_access(ports);
        break;
      case KVM_EXIT_MMIO:
        carry_mmio_access(mmio);
        break;
      case KVM_EXIT_INTR:
        break;
      case KVM_EXIT_SHUTDOWN:  // a triple fault, a PC's last way to reboot
        return End::Reset;
      case KVM_EXIT_SYSTEM_EVENT:
        return shared_->system_event.type == KVM_SYSTEM_EVENT_SHUTDOWN ? End::PowerOff : End::Reset;
      default:
        return cannot_go_on(exit_name(*shared_));
    }
  }
  return End::Stopped;
}

void Vcpu::carry_port_access(const AddressSpace& ports) {
  const auto& io = shared_->io;
  std::byte* data = reinterpret_cast<std::byte*>(shared_) + io.data_offset;
  // A string instruction makes `count` accesses to the same port.
  for (uint32_t i = 0; i < io.count; ++i, data += io.size) {
    const std::span bytes(data, io.size);
    if (io.direction == KVM_EXIT_IO_IN) {
      ports.read(io.port, bytes);
    } else {
      ports.write(io.port, bytes);
    }
  }
}

void Vcpu::carry_mmio_access(const AddressSpace& mmio) {
  auto& access = shared_->mmio;
  const auto bytes = std::as_writable_bytes(std::span(access.data)).first(access.len);
  if (access.is_write) {
    mmio.write(access.phys_addr, bytes);
  } else {
    mmio.read(access.phys_addr, bytes);
  }
}

}  // namespace passthru
