// SPDX-License-Identifier: MIT
#include "device/p2p_mapper.h"

#include <utility>

namespace passthru {

void P2pMapper::use(P2p choice) {
  MutexLock lock(p2p_mutex_);
  choice_ = choice;
}

bool P2pMapper::wanted(uint64_t size) const {
  switch (choice_) {
    case P2p::On:
      return true;
    case P2p::Off:
      return false;
    case P2p::Auto:
      break;
  }
  return size <= (devices_ > 1 ? kMaxAuto : kMaxAlone);
}

std::optional<Error> P2pMapper::offer(uint64_t address, std::span<std::byte> memory) {
  auto offered = dma_.offer(address, memory);
  if (offered) {
    reachable_.insert(address);
    return std::nullopt;
  }
  // A device alone rarely reaches its own BAR by DMA, so nobody waits for a report.
  const bool asked_for = choice_ == P2p::On || devices_ > 1;
  if (!asked_for || std::exchange(reported_, true)) return std::nullopt;
  return std::move(offered).error();
}

void P2pMapper::add_device() {
  std::optional<Error> report;
  {
    MutexLock lock(p2p_mutex_);
    ++devices_;
    for (auto held = held_back_.begin(); held != held_back_.end();) {
      if (!wanted(held->second.size())) {
        ++held;
        continue;
      }
      auto refused = offer(held->first, held->second);
      if (refused) report = std::move(refused);
      held = held_back_.erase(held);
    }
  }
  if (report) refused_(*report);
}

void P2pMapper::remove_device() {
  MutexLock lock(p2p_mutex_);
  --devices_;
}

Result<void> P2pMapper::map(const GuestMapping& mapping) {
  PASSTHRU_TRY(guest_.map(mapping));
  const std::span memory(mapping.memory, mapping.size);
  std::optional<Error> report;
  {
    MutexLock lock(p2p_mutex_);
    if (wanted(mapping.size)) {
      report = offer(mapping.address, memory);
    } else {
      held_back_.emplace(mapping.address, memory);
    }
  }
  if (report) refused_(*report);
  return {};
}

// The IOMMU first: it points at the device's pages, not at our mapping of them, and would continue
// to when our mapping is gone. Our mapping is removed in any case. Other memory may then be at its
// address, and no other group may reach that.
Result<void> P2pMapper::unmap(const GuestMapping& mapping) {
  {
    MutexLock lock(p2p_mutex_);
    if (reachable_.erase(mapping.address) != 0) dma_.forget(mapping.address);
    held_back_.erase(mapping.address);
  }
  return guest_.unmap(mapping);
}

}  // namespace passthru
