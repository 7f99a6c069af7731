// SPDX-License-Identifier: MIT
#include "capi/kvm_arguments.h"

#include "capi/call.h"
#include "capi/callback_result.h"
#include "capi/sized_struct.h"
#include "capi/struct_sizes.h"

namespace passthru {

Result<KvmArguments> kvm_arguments(const passthru_kvm_options* given, void* vmm) {
  constexpr const char* kOperation = "create a domain";
  constexpr uint32_t kKnown =
      PASSTHRU_KVM_SPLIT_IRQCHIP | PASSTHRU_KVM_EXTENDED_DESTINATIONS | PASSTHRU_KVM_MSI_BY_MESSAGE;
  const auto known = PASSTHRU_TRY(read_struct(given, kKvmOptionsSize, kOperation));
  if ((known.flags & ~kKnown) != 0) return fail(EINVAL, kOperation, "a flag of KVM is unknown");
  KvmArguments arguments{.vm_fd = known.vm_fd};
  KvmHypervisorOptions& options = arguments.options;
  if (known.first_slot != 0) options.first_slot = known.first_slot;
  if (known.first_gsi != 0) options.first_gsi = known.first_gsi;
  options.irqchip_pins = (known.flags & PASSTHRU_KVM_SPLIT_IRQCHIP) == 0;
  options.extended_destinations = (known.flags & PASSTHRU_KVM_EXTENDED_DESTINATIONS) != 0;
  options.msi_by_message = (known.flags & PASSTHRU_KVM_MSI_BY_MESSAGE) != 0;
  if (known.intx_gsi == nullptr) return arguments;
  options.intx_gsi = [gsi_of = known.intx_gsi, vmm](Bdf guest_address,
                                                    unsigned pin) -> Result<uint32_t> {
    const InCallback in_callback;
    const int gsi = gsi_of(vmm, guest_address.requester_id(), pin);
    PASSTHRU_TRY(callback_result("intx_gsi", gsi));
    return static_cast<uint32_t>(gsi);
  };
  return arguments;
}

}  // namespace passthru
