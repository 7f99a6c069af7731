// SPDX-License-Identifier: MIT
// The creation of a VM: the calls of KVM in their order, and the meaning of their errors.
#include "vmm/kvm_machine.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/kvm.h>

#include <cerrno>
#include <utility>

#include "kvm/kvm_call.h"
#include "kvm/kvm_check.h"
#include "kvm/kvm_table.h"
#include "vmm/memory_map.h"

namespace passthru {
namespace {

Result<unsigned> extension(int fd, long capability) {
  return static_cast<unsigned>(PASSTHRU_TRY(
      kvm_call(fd, KVM_CHECK_EXTENSION, "KVM_CHECK_EXTENSION", static_cast<uint64_t>(capability))));
}

}  // namespace

Result<std::unique_ptr<KvmMachine>> KvmMachine::create(const std::string& device) {
  return make(PASSTHRU_TRY(open_kvm(device)));
}

Result<std::unique_ptr<KvmMachine>> KvmMachine::create_on(int kvm_fd) {
  Fd copy(::fcntl(kvm_fd, F_DUPFD_CLOEXEC, 0));
  const std::string operation = fmt::format("use descriptor {} as /dev/kvm", kvm_fd);
  if (!copy) {
    return tl::unexpected(Error{.code = errno, .operation = operation}.advise(
        "Let the parent process open /dev/kvm: in a shell, '3<>/dev/kvm'"));
  }
  const auto version = kvm_call(copy.get(), KVM_GET_API_VERSION, "KVM_GET_API_VERSION");
  if (!version) return fail(version.error().code, operation, "the descriptor is of another file");
  return make(std::move(copy));
}

Result<std::unique_ptr<KvmMachine>> KvmMachine::make(Fd kvm) {
  std::unique_ptr<KvmMachine> machine(new KvmMachine);
  machine->kvm_ = std::move(kvm);
  PASSTHRU_TRY(machine->look_at_kvm());
  PASSTHRU_TRY(machine->make_vm());
  return machine;
}

Result<void> KvmMachine::look_at_kvm() {
  const int version =
      PASSTHRU_TRY(kvm_call(kvm_.get(), KVM_GET_API_VERSION, "KVM_GET_API_VERSION"));
  if (version != KVM_API_VERSION) {
    return fail(ENOTSUP, "use KVM", fmt::format("its API is version {}, not 12", version));
  }
  run_size_ = static_cast<size_t>(
      PASSTHRU_TRY(kvm_call(kvm_.get(), KVM_GET_VCPU_MMAP_SIZE, "KVM_GET_VCPU_MMAP_SIZE")));
  max_cpus_ = PASSTHRU_TRY(extension(kvm_.get(), KVM_CAP_MAX_VCPUS));
  if (PASSTHRU_TRY(extension(kvm_.get(), KVM_CAP_IMMEDIATE_EXIT)) == 0) {
    return fail(ENOTSUP, "use KVM", "this KVM has no KVM_CAP_IMMEDIATE_EXIT");
  }
  return {};
}

Result<void> KvmMachine::make_vm() {
  // EINTR: KVM allocates under a killable wait, and a signal may be on its way.
  for (;;) {
    auto vm = kvm_call(kvm_.get(), KVM_CREATE_VM, "KVM_CREATE_VM");
    if (vm) {
      vm_ = Fd(*vm);
      break;
    }
    if (vm.error().code != EINTR) return tl::unexpected(std::move(vm).error());
  }
  uint64_t identity_page = kKvmIdentityPage;
  PASSTHRU_TRY(
      kvm_call(vm_.get(), KVM_SET_IDENTITY_MAP_ADDR, "KVM_SET_IDENTITY_MAP_ADDR", &identity_page));
  PASSTHRU_TRY(kvm_call(vm_.get(), KVM_SET_TSS_ADDR, "KVM_SET_TSS_ADDR", kKvmTss));
  PASSTHRU_TRY(kvm_call(vm_.get(), KVM_CREATE_IRQCHIP, "KVM_CREATE_IRQCHIP"));
  kvm_pit_config pit{};
  pit.flags = KVM_PIT_SPEAKER_DUMMY;  // port 0x61 belongs to the timer's calibration
  PASSTHRU_TRY(kvm_call(vm_.get(), KVM_CREATE_PIT2, "KVM_CREATE_PIT2", &pit));
  return {};
}

static_assert(RamLayout::kMaxParts <= KvmMachine::kFirstFreeSlot);

Result<void> KvmMachine::add_memory(const GuestMemory& memory) {
  uint32_t slot = 0;
  for (const GuestMemory::Range& range : memory.ranges()) {
    kvm_userspace_memory_region region{
        .slot = slot++,
        .flags = 0,
        .guest_phys_addr = range.address,
        .memory_size = range.bytes.size(),
        .userspace_addr = reinterpret_cast<uintptr_t>(range.bytes.data()),
    };
    PASSTHRU_TRY(
        kvm_call(vm_.get(), KVM_SET_USER_MEMORY_REGION, "KVM_SET_USER_MEMORY_REGION", &region));
  }
  return {};
}

void KvmMachine::set_line(uint32_t gsi, bool level) {
  kvm_irq_level line{};
  line.irq = gsi;
  line.level = level ? 1 : 0;
  ignore(kvm_call(vm_.get(), KVM_IRQ_LINE, "KVM_IRQ_LINE", &line),
         "fails only without an irqchip, and this VM has one");
}

Result<std::vector<CpuidEntry>> KvmMachine::supported_cpuid() const {
  constexpr size_t kFirstTry = 128, kLastTry = 4096;
  for (size_t count = kFirstTry;; count *= 2) {
    KvmTable<kvm_cpuid_entry2> table(count);
    const auto got = kvm_call(kvm_.get(), kvm_table_request(KVM_GET_SUPPORTED_CPUID),
                              "KVM_GET_SUPPORTED_CPUID", table.argument());
    if (!got && got.error().code == E2BIG && count < kLastTry) continue;
    if (!got) return tl::unexpected(got.error());
    std::vector<CpuidEntry> entries;
    for (const kvm_cpuid_entry2& e : table.entries()) {
      entries.push_back({.leaf = e.function,
                         .subleaf = e.index,
                         .flags = e.flags,
                         .eax = e.eax,
                         .ebx = e.ebx,
                         .ecx = e.ecx,
                         .edx = e.edx});
    }
    return entries;
  }
}

}  // namespace passthru
