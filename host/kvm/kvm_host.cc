// SPDX-License-Identifier: MIT
// Owns the translation of Host's calls into KVM's: slots, routes, irqfds, messages and lines.
#include "host/kvm/kvm_host.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/kvm.h>
#include <unistd.h>

#include <cstring>
#include <vector>

#include "host/kvm/kvm_call.h"
#include "host/kvm/kvm_table.h"
#include "irq/remap.h"

namespace passthru {
namespace {

// KVM's default routes for its own irqchips: GSI 0 to 15 lead to a PIC and to the IOAPIC, those up
// to 23 to the IOAPIC only.
constexpr uint32_t kPicPins = 16;
constexpr uint32_t kPicPinsEach = 8;
constexpr uint32_t kIoapicPins = 24;
constexpr uint32_t kIrqchipEntries = kPicPins + kIoapicPins;

kvm_irq_routing_entry pin_entry(uint32_t gsi, uint32_t irqchip, uint32_t pin) {
  kvm_irq_routing_entry entry{};
  entry.gsi = gsi;
  entry.type = KVM_IRQ_ROUTING_IRQCHIP;
  entry.u.irqchip.irqchip = irqchip;
  entry.u.irqchip.pin = pin;
  return entry;
}

kvm_irq_routing_entry msi_entry(uint32_t gsi, const MsiRoute& route, bool device_ids) {
  kvm_irq_routing_entry entry{};
  entry.gsi = gsi;
  entry.type = KVM_IRQ_ROUTING_MSI;
  entry.u.msi.address_lo = static_cast<uint32_t>(route.message.address);
  entry.u.msi.address_hi = static_cast<uint32_t>(route.message.address >> 32);
  entry.u.msi.data = route.message.data;
  if (device_ids) {
    entry.flags = KVM_MSI_VALID_DEVID;
    entry.u.msi.devid = route.requester_id;
  }
  return entry;
}

void append_pins(std::vector<kvm_irq_routing_entry>& entries) {
  for (uint32_t gsi = 0; gsi < kIoapicPins; ++gsi) {
    if (gsi < kPicPins) {
      const uint32_t chip = gsi < kPicPinsEach ? KVM_IRQCHIP_PIC_MASTER : KVM_IRQCHIP_PIC_SLAVE;
      entries.push_back(pin_entry(gsi, chip, gsi % kPicPinsEach));
    }
    entries.push_back(pin_entry(gsi, KVM_IRQCHIP_IOAPIC, gsi));
  }
}

Result<int> set_slot(int vm_fd, uint32_t slot, uint64_t address, uint64_t size, std::byte* memory) {
  kvm_userspace_memory_region region{
      .slot = slot,
      .flags = 0,
      .guest_phys_addr = address,
      .memory_size = size,
      .userspace_addr = reinterpret_cast<uintptr_t>(memory),
  };
  return kvm_call(vm_fd, KVM_SET_USER_MEMORY_REGION, "KVM_SET_USER_MEMORY_REGION", &region);
}

Result<int> set_irqfd(int vm_fd, RouteId route, int eventfd, uint32_t flags) {
  kvm_irqfd irqfd{};
  irqfd.fd = static_cast<uint32_t>(eventfd);
  irqfd.gsi = route;
  irqfd.flags = flags;
  return kvm_call(vm_fd, KVM_IRQFD, "KVM_IRQFD", &irqfd);
}

}  // namespace

Result<std::unique_ptr<KvmHost>> KvmHost::create(int vm_fd, KvmHostOptions options) {
  const KvmLimits limits = PASSTHRU_TRY(kvm_limits(vm_fd, options.irqchip_pins));
  if (limits.slots <= options.first_slot || limits.routes <= options.first_gsi) {
    return fail(EINVAL, "use KVM",
                fmt::format("it has {} memory slots and {} routes, less than are asked for",
                            limits.slots, limits.routes));
  }
  if (options.extended_destinations) PASSTHRU_TRY(kvm_take_wide_destinations(vm_fd));
  return std::unique_ptr<KvmHost>(new KvmHost(vm_fd, std::move(options), limits));
}

KvmHost::KvmHost(int vm_fd, KvmHostOptions options, const KvmLimits& limits)
    : vm_fd_(vm_fd),
      options_(std::move(options)),
      device_ids_(limits.device_ids),
      resampling_(limits.resampling),
      slots_(options_.first_slot, limits.slots - options_.first_slot),
      routes_(options_.first_gsi, limits.routes, options_.irqchip_pins ? kIrqchipEntries : 0),
      files_(vm_fd) {}

Result<void> KvmHost::map(const GuestMapping& mapping) {
  MutexLock lock(slots_mutex_);
  const auto slot = slots_.take();
  if (!slot) return fail(ENOSPC, "map a BAR into the guest", "all memory slots of KVM are in use");
  const auto set = set_slot(vm_fd_, *slot, mapping.address, mapping.size, mapping.memory);
  if (!set) {
    slots_.give_back(*slot);
    return tl::unexpected(
        Error(set.error())
            .because(fmt::format("guest address {:#x}, {} bytes: {}", mapping.address, mapping.size,
                                 std::strerror(set.error().code))));
  }
  slot_of_[mapping.address] = *slot;
  return {};
}

Result<void> KvmHost::unmap(const GuestMapping& mapping) {
  MutexLock lock(slots_mutex_);
  const auto slot = slot_of_.find(mapping.address);
  if (slot == slot_of_.end()) return {};
  // Size 0 takes a slot away, and KVM flushes every vCPU before it returns.
  PASSTHRU_TRY(set_slot(vm_fd_, slot->second, mapping.address, 0, mapping.memory));
  slots_.give_back(slot->second);
  slot_of_.erase(slot);
  return {};
}

Result<void> KvmHost::install_routes() {
  std::vector<kvm_irq_routing_entry> entries;
  entries.reserve(kIrqchipEntries + routes_.routes().size());
  if (options_.irqchip_pins) append_pins(entries);
  for (const auto& [gsi, route] : routes_.routes()) {
    entries.push_back(msi_entry(gsi, route, device_ids_));
  }
  KvmTable<kvm_irq_routing_entry> table(entries);
  PASSTHRU_TRY(kvm_call(vm_fd_, kvm_table_request(KVM_SET_GSI_ROUTING), "KVM_SET_GSI_ROUTING",
                        table.argument()));
  return {};
}

Result<MsiMessage> KvmHost::translate(const MsiMessage& message, uint16_t requester_id) {
  if (options_.translate) return options_.translate(message, requester_id);
  return options_.extended_destinations ? translate_extended(message) : translate_plain(message);
}

// KVM would ignore the upper bits, and interrupt another CPU.
Result<void> KvmHost::check_destination(const MsiMessage& message) const {
  if (message.address >> 32 == 0 || options_.extended_destinations) return {};
  return fail(EINVAL, "route an interrupt",
              "its destination id is beyond 255, and the VMM has not asked KVM for such ids "
              "(KvmHostOptions::extended_destinations)");
}

Result<RouteId> KvmHost::create_route(const MsiMessage& message, uint16_t requester_id) {
  PASSTHRU_TRY(check_destination(message));
  MutexLock lock(routes_mutex_);
  const uint32_t gsi = PASSTHRU_TRY(routes_.add({message, requester_id}));
  if (auto installed = install_routes(); !installed) {
    routes_.remove(gsi);
    return tl::unexpected(std::move(installed).error());
  }
  return gsi;
}

Result<void> KvmHost::update_route(RouteId route, const MsiMessage& message) {
  PASSTHRU_TRY(check_destination(message));
  MutexLock lock(routes_mutex_);
  const MsiRoute before = PASSTHRU_TRY(routes_.find(route));
  // Every change of the table costs a grace period of the kernel: do not pay for nothing.
  if (before.message == message) return {};
  routes_.replace(route, {message, before.requester_id});
  if (auto installed = install_routes(); !installed) {
    routes_.replace(route, before);
    return tl::unexpected(std::move(installed).error());
  }
  return {};
}

void KvmHost::destroy_route(RouteId route) {
  MutexLock lock(routes_mutex_);
  // The kernel keeps its copy until the next change. Nothing signals it: the route is disarmed.
  routes_.remove(route);
}

Result<void> KvmHost::arm(RouteId route, int eventfd) {
  PASSTHRU_TRY(set_irqfd(vm_fd_, route, eventfd, 0));
  // A counter that was not 0 by then has been delivered, and KVM leaves it as it is. What comes
  // from now on is taken where it is signalled: so what is left is not for anybody.
  if ((::fcntl(eventfd, F_GETFL) & O_NONBLOCK) == 0) return {};  // a read could wait for ever
  uint64_t delivered = 0;
  static_cast<void>(::read(eventfd, &delivered, sizeof(delivered)) == sizeof(delivered));
  return {};
}

void KvmHost::disarm(RouteId route, int eventfd) {
  ignore(set_irqfd(vm_fd_, route, eventfd, KVM_IRQFD_FLAG_DEASSIGN),
         "fails only for an irqfd that does not exist: then nothing is delivered either");
}

Result<void> KvmHost::signal_msi(const MsiMessage& message, uint16_t requester_id) {
  PASSTHRU_TRY(check_destination(message));
  kvm_msi msi{};
  msi.address_lo = static_cast<uint32_t>(message.address);
  msi.address_hi = static_cast<uint32_t>(message.address >> 32);
  msi.data = message.data;
  if (device_ids_) {
    msi.flags = KVM_MSI_VALID_DEVID;
    msi.devid = requester_id;
  }
  // Returns 0 when the guest blocks the interrupt; on hardware it would be lost as well.
  PASSTHRU_TRY(kvm_call(vm_fd_, KVM_SIGNAL_MSI, "KVM_SIGNAL_MSI", &msi));
  return {};
}

Result<void> KvmHost::arm_intx(Bdf guest_address, unsigned pin, int eventfd, int resample) {
  if (!options_.intx_gsi) return fail(ENOTSUP, "deliver INTx", "the VMM wires no INTx pins");
  if (!resampling_) {
    return fail(ENOTSUP, "deliver INTx",
                "KVM's irqfds do not tell an EOI here, and the VMM drives no lines itself");
  }
  kvm_irqfd irqfd{};
  irqfd.fd = static_cast<uint32_t>(eventfd);
  irqfd.gsi = options_.intx_gsi(guest_address, pin);
  irqfd.flags = KVM_IRQFD_FLAG_RESAMPLE;
  irqfd.resamplefd = static_cast<uint32_t>(resample);
  PASSTHRU_TRY(kvm_call(vm_fd_, KVM_IRQFD, "KVM_IRQFD", &irqfd));
  return {};
}

void KvmHost::disarm_intx(Bdf guest_address, unsigned pin, int eventfd) {
  // KVM takes the line down with its last resampling irqfd.
  ignore(set_irqfd(vm_fd_, options_.intx_gsi(guest_address, pin), eventfd, KVM_IRQFD_FLAG_DEASSIGN),
         "fails only for an irqfd that does not exist: then nothing is delivered either");
}

void KvmHost::set_intx(Bdf guest_address, unsigned pin, bool level) {
  if (!options_.intx_gsi) return;
  const uint32_t gsi = options_.intx_gsi(guest_address, pin);
  MutexLock lock(lines_mutex_);
  const auto changed = lines_.set(gsi, guest_address, pin, level);
  if (!changed) return;
  if (options_.set_line) return options_.set_line(gsi, *changed);
  kvm_irq_level line{};
  line.irq = gsi;
  line.level = *changed ? 1 : 0;
  ignore(kvm_call(vm_fd_, KVM_IRQ_LINE, "KVM_IRQ_LINE", &line),
         "fails only for a VM without an irqchip, and create() asks for one");
}

Result<void> KvmHost::file_added(int fd) {
  MutexLock lock(files_mutex_);
  return files_.add(fd);
}

void KvmHost::file_removed(int fd) {
  MutexLock lock(files_mutex_);
  files_.remove(fd);
}

void KvmHost::on_event(const Event& event) {
  if (options_.on_event) options_.on_event(event);
}

}  // namespace passthru
