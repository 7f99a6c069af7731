// SPDX-License-Identifier: MIT
// KvmHypervisor: creation, memory slots and files.
#include "kvm/kvm_hypervisor.h"

#include <fmt/format.h>
#include <linux/kvm.h>

#include <cstring>
#include <utility>

#include "kvm/irqchip_pins.h"
#include "kvm/irqfd_check.h"

namespace passthru {
namespace {

Result<int> set_slot(const KvmFd& vm, uint32_t slot, uint64_t address, uint64_t size,
                     std::byte* memory) {
  kvm_userspace_memory_region region{
      .slot = slot,
      .flags = 0,
      .guest_phys_addr = address,
      .memory_size = size,
      .userspace_addr = reinterpret_cast<uintptr_t>(memory),
  };
  return vm.call(KVM_SET_USER_MEMORY_REGION, "KVM_SET_USER_MEMORY_REGION", &region);
}

tl::unexpected<Error> not_set(Error error, const GuestMapping& mapping) {
  const char* const why = std::strerror(error.code);
  return tl::unexpected(std::move(error).because(
      fmt::format("guest address {:#x}, {} bytes: {}", mapping.address, mapping.size, why)));
}

}  // namespace

Result<std::unique_ptr<KvmHypervisor>> KvmHypervisor::create(int vm_fd,
                                                             KvmHypervisorOptions options,
                                                             KvmCalls& calls) {
  const KvmFd vm(vm_fd, calls);
  const KvmLimits limits = PASSTHRU_TRY(kvm_limits(vm, options.irqchip_pins));
  if (limits.slots <= options.first_slot || limits.routes <= options.first_gsi) {
    return fail(EINVAL, "use KVM",
                fmt::format("it has {} memory slots and {} routes, fewer than the options need",
                            limits.slots, limits.routes));
  }
  const bool takes_signals = PASSTHRU_TRY(irqfd_takes_signals(vm, limits.routes - 1));
  if (options.extended_destinations) PASSTHRU_TRY(kvm_take_wide_destinations(vm));
  MsiRoutes vmm_routes = std::exchange(options.vmm_routes, {});
  std::unique_ptr<KvmHypervisor> host(
      new KvmHypervisor(vm, std::move(options), limits, takes_signals));
  if (!vmm_routes.empty()) PASSTHRU_TRY(host->set_vmm_routes(std::move(vmm_routes)));
  return host;
}

KvmHypervisor::KvmHypervisor(const KvmFd& vm, KvmHypervisorOptions options, const KvmLimits& limits,
                             bool takes_signals)
    : vm_(vm),
      options_(std::move(options)),
      device_ids_(limits.device_ids),
      resampling_(limits.resampling),
      takes_signals_(takes_signals),
      slots_(options_.first_slot, limits.slots - options_.first_slot),
      routes_({.first_gsi = options_.first_gsi,
               .limit = limits.routes,
               .pins = options_.irqchip_pins ? kIrqchipPins : 0,
               .pin_entries = options_.irqchip_pins ? kIrqchipEntries : 0}),
      files_(vm) {}

Result<void> KvmHypervisor::map(const GuestMapping& mapping) {
  MutexLock lock(slots_mutex_);
  const auto slot = slots_.take();
  if (!slot) return fail(ENOSPC, "map a BAR into the guest", "all KVM memory slots are in use");
  auto set = set_slot(vm_, *slot, mapping.address, mapping.size, mapping.memory);
  if (!set) {
    slots_.give_back(*slot);
    return not_set(std::move(set).error(), mapping);
  }
  slot_of_[mapping.address] = *slot;
  return {};
}

Result<void> KvmHypervisor::unmap(const GuestMapping& mapping) {
  MutexLock lock(slots_mutex_);
  const auto slot = slot_of_.find(mapping.address);
  if (slot == slot_of_.end()) return {};
  // Size 0 removes a slot. KVM flushes every vCPU before it returns.
  auto set = set_slot(vm_, slot->second, mapping.address, 0, mapping.memory);
  if (!set) return not_set(std::move(set).error(), mapping);
  slots_.give_back(slot->second);
  slot_of_.erase(slot);
  return {};
}

Result<void> KvmHypervisor::file_added(int fd) {
  MutexLock lock(files_mutex_);
  return files_.add(fd);
}

void KvmHypervisor::file_removed(int fd) {
  MutexLock lock(files_mutex_);
  files_.remove(fd);
}

void KvmHypervisor::on_event(const Event& event) {
  if (options_.on_event) options_.on_event(event);
}

}  // namespace passthru
