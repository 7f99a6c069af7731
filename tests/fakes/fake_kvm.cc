// SPDX-License-Identifier: MIT
// KVM's checks of its arguments (Linux, virt/kvm/kvm_main.c, eventfd.c, irqchip.c).
#include "tests/fakes/fake_kvm.h"

#include <gtest/gtest.h>
#include <linux/kvm.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "kvm/kvm_table.h"

namespace passthru {
namespace {

template <class T>
T argument_as(const void* argument) {
  T value{};
  std::memcpy(&value, argument, sizeof value);
  return value;
}

}  // namespace

Result<int> FakeKvm::call(int fd, unsigned long request, const char* name, void* argument) {
  EXPECT_EQ(fd, kVm);
  ++calls_[name];
  if (failing_ == name && --failing_in_ == 0) {
    failing_.clear();
    return fail(failing_code_, name);
  }
  switch (request) {
    case KVM_CHECK_EXTENSION:
      return capability(reinterpret_cast<long>(argument));
    case kvm_table_request(KVM_SET_GSI_ROUTING):
      return set_routes(argument, name);
    case KVM_IRQFD:
      return set_irqfd(argument, name);
    case KVM_SET_USER_MEMORY_REGION:
      return set_slot(argument, name);
    case KVM_SIGNAL_MSI: {
      const auto msi = argument_as<kvm_msi>(argument);
      delivered_.push_back({uint64_t{msi.address_hi} << 32 | msi.address_lo, msi.data});
      return 1;
    }
    default:
      ADD_FAILURE() << "the fake KVM does not support " << name;
      return fail(ENOTTY, name);
  }
}

int FakeKvm::capability(long number) const {
  switch (number) {
    case KVM_CAP_IRQ_ROUTING:
      return routes_supported;
    case KVM_CAP_NR_MEMSLOTS:
      return 64;
    case KVM_CAP_MSI_DEVID:
      return takes_requesters ? 1 : 0;
    default:
      return 1;
  }
}

Result<int> FakeKvm::set_routes(const void* argument, const char* name) {
  uint32_t count = 0;
  std::memcpy(&count, argument, sizeof count);
  if (count > static_cast<uint32_t>(routes_supported)) return fail(EINVAL, name);
  std::map<uint32_t, MsiMessage> messages;
  std::map<uint32_t, uint32_t> named;
  std::map<uint32_t, unsigned> pin_entries;
  for (uint32_t at = 0; at < count; ++at) {
    const auto entry =
        argument_as<kvm_irq_routing_entry>(static_cast<const std::byte*>(argument) +
                                           kKvmTableHeader + at * sizeof(kvm_irq_routing_entry));
    if (entry.gsi >= static_cast<uint32_t>(routes_supported)) return fail(EINVAL, name);
    if (entry.type == KVM_IRQ_ROUTING_IRQCHIP) {
      ++pin_entries[entry.gsi];
      continue;
    }
    const MsiMessage message{uint64_t{entry.u.msi.address_hi} << 32 | entry.u.msi.address_lo,
                             entry.u.msi.data};
    if (!messages.emplace(entry.gsi, message).second) return fail(EINVAL, name);
    if ((entry.flags & KVM_MSI_VALID_DEVID) != 0) named[entry.gsi] = entry.u.msi.devid;
  }
  for (const auto& [gsi, message] : messages) {
    if (pin_entries.contains(gsi)) return fail(EINVAL, name);
  }
  routes = std::move(messages);
  requesters = std::move(named);
  pins = 0;
  for (const auto& [gsi, entries] : pin_entries) pins += entries;
  return 0;
}

Result<int> FakeKvm::set_irqfd(const void* argument, const char* name) {
  const auto irqfd = argument_as<kvm_irqfd>(argument);
  const int eventfd = static_cast<int>(irqfd.fd);
  if ((irqfd.flags & KVM_IRQFD_FLAG_DEASSIGN) != 0) {
    const auto found = irqfds.find(eventfd);
    const bool there = found != irqfds.end() && found->second.gsi == irqfd.gsi;
    EXPECT_TRUE(there) << "deassigned from GSI " << irqfd.gsi << ", to which it was not assigned";
    take(eventfd, irqfd.gsi);  // KVM drains the counter on all kernels
    if (there) irqfds.erase(found);
    return 0;
  }
  if (!has_irqchip) return fail(EINVAL, name);
  const bool resamples = (irqfd.flags & KVM_IRQFD_FLAG_RESAMPLE) != 0;
  const Irqfd set{irqfd.gsi, resamples ? static_cast<int>(irqfd.resamplefd) : -1};
  if (!irqfds.emplace(eventfd, set).second) return fail(EBUSY, name);
  return 0;
}

Result<int> FakeKvm::set_slot(const void* argument, const char* name) {
  const auto region = argument_as<kvm_userspace_memory_region>(argument);
  if (region.memory_size == 0) {
    const auto slot = slots_.find(region.slot);
    if (slot == slots_.end()) return fail(EINVAL, name);
    memory.erase(slot->second);
    slots_.erase(slot);
    return 0;
  }
  for (const auto& [address, size] : memory) {
    if (address < region.guest_phys_addr + region.memory_size &&
        region.guest_phys_addr < address + size) {
      return fail(EEXIST, name);
    }
  }
  EXPECT_TRUE(slots_.emplace(region.slot, region.guest_phys_addr).second) << "the slot is in use";
  memory[region.guest_phys_addr] = region.memory_size;
  return 0;
}

Result<void> FakeKvm::signal(int eventfd) {
  PASSTHRU_TRY(KvmCalls::signal(eventfd));
  const auto armed = irqfds.find(eventfd);
  if (armed != irqfds.end() && takes_signals) take(eventfd, armed->second.gsi);
  return {};
}

void FakeKvm::take(int eventfd, uint32_t gsi) {
  uint64_t count = 0;
  if (::read(eventfd, &count, sizeof count) != sizeof count) return;
  const auto route = routes.find(gsi);
  if (route != routes.end()) delivered_.push_back(route->second);
}

void FakeKvm::fail_next(std::string name, int code, unsigned nth) {
  failing_ = std::move(name);
  failing_code_ = code;
  failing_in_ = nth;
}

std::vector<MsiMessage> FakeKvm::delivered() {
  for (const auto& [eventfd, irqfd] : irqfds) take(eventfd, irqfd.gsi);
  return std::exchange(delivered_, {});
}

}  // namespace passthru
