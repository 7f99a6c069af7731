// SPDX-License-Identifier: MIT
#include "device/domain.h"

namespace passthru {
namespace {

constexpr uint64_t kMmioLimit = uint64_t{1}
                                << 52;  // the widest physical address of x86-64 and arm64
constexpr uint64_t kPortLimit = uint64_t{1} << 16;

}  // namespace

Domain::Domain(std::shared_ptr<Kernel> kernel, Hypervisor& hypervisor, Sysfs sysfs)
    : kernel_(std::move(kernel)),
      hypervisor_(hypervisor),
      sysfs_(std::move(sysfs)),
      interrupts_(hypervisor),
      dma_(*kernel_, &hypervisor),
      peers_(hypervisor, dma_,
             [&to = hypervisor_](const Error& refused) {
               to.on_event(
                   {.kind = Event::Kind::P2pRefused, .device = {}, .detail = refused.message()});
             }),
      mmio_(kMmioLimit, &peers_, kernel_->page_size()),
      ports_(kPortLimit, &hypervisor, 0, GuestSpace::Ports),
      left_bars_(hypervisor) {}

// In both: a BAR that has left the guest may still be mapped at the address of new RAM.
Result<void> Domain::add_memory(uint64_t address, std::span<std::byte> memory, bool writable) {
  peers_.wait_for_unmapped();
  return dma_.add(address, memory, writable);
}

Result<void> Domain::add_memory_file(uint64_t address, int fd, uint64_t offset,
                                     std::span<std::byte> memory, bool writable) {
  peers_.wait_for_unmapped();
  return dma_.add_file(address, fd, offset, memory, writable);
}

Result<void> Domain::remove_memory(uint64_t address) {
  return dma_.remove(address);
}

Result<std::vector<IovaRange>> Domain::usable_iova_ranges() {
  return dma_.usable_iova_ranges();
}

}  // namespace passthru
