// SPDX-License-Identifier: MIT
#include "kvm/kvm_limits.h"

#include <fmt/format.h>
#include <linux/kvm.h>

namespace passthru {
namespace {

Result<uint32_t> capability(const KvmFd& vm, long number, const char* name) {
  const int value = PASSTHRU_TRY(
      vm.call(KVM_CHECK_EXTENSION, "KVM_CHECK_EXTENSION", static_cast<uint64_t>(number)));
  if (value == 0) return fail(ENOTSUP, "use KVM", fmt::format("this KVM has no {}", name));
  return static_cast<uint32_t>(value);
}

}  // namespace

Result<KvmLimits> kvm_limits(const KvmFd& vm, bool irqchip_pins) {
  PASSTHRU_TRY(capability(vm, KVM_CAP_IRQFD, "irqfd (KVM_CAP_IRQFD)"));
  PASSTHRU_TRY(capability(vm, KVM_CAP_SIGNAL_MSI, "KVM_SIGNAL_MSI"));
  return KvmLimits{
      .slots = PASSTHRU_TRY(capability(vm, KVM_CAP_NR_MEMSLOTS, "memory slots")),
      .routes = PASSTHRU_TRY(capability(vm, KVM_CAP_IRQ_ROUTING, "interrupt routing")),
      .device_ids = capability(vm, KVM_CAP_MSI_DEVID, "").has_value(),
      // KVM reports the capability even if the IOAPIC is not its own, but then refuses the irqfds.
      .resampling = irqchip_pins && capability(vm, KVM_CAP_IRQFD_RESAMPLE, "").has_value()};
}

Result<void> kvm_take_wide_destinations(const KvmFd& vm) {
  constexpr uint32_t kWanted =
      KVM_X2APIC_API_USE_32BIT_IDS | KVM_X2APIC_API_DISABLE_BROADCAST_QUIRK;
  constexpr const char* kName = "32-bit destination ids (KVM_CAP_X2APIC_API)";
  const uint32_t offered = PASSTHRU_TRY(capability(vm, KVM_CAP_X2APIC_API, kName));
  if ((offered & kWanted) != kWanted) {
    return fail(ENOTSUP, "use KVM", fmt::format("this KVM has no {}", kName));
  }
  kvm_enable_cap enable{};
  enable.cap = KVM_CAP_X2APIC_API;
  enable.args[0] = kWanted;
  PASSTHRU_TRY(vm.call(KVM_ENABLE_CAP, "KVM_ENABLE_CAP", &enable));
  return {};
}

}  // namespace passthru
