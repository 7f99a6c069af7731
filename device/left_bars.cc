// SPDX-License-Identifier: MIT
#include "device/left_bars.h"

#include <optional>
#include <utility>

namespace passthru {

LeftBars::~LeftBars() {
  retry();
}

void LeftBars::keep(Bdf guest_address, Targets targets) {
  MutexLock lock(left_mutex_);
  for (unsigned bar = 0; bar < kBars; ++bar) {
    if (targets[bar]) bars_.push_back({guest_address, bar, std::move(targets[bar])});
  }
}

LeftBars::Targets LeftBars::take(Bdf guest_address) {
  MutexLock lock(left_mutex_);
  Targets taken;
  std::erase_if(bars_, [&](LeftBar& each) {
    if (each.guest_address != guest_address || taken[each.bar]) return false;
    taken[each.bar] = std::move(each.target);
    return true;
  });
  return taken;
}

void LeftBars::retry() {
  std::vector<std::shared_ptr<AccessTarget>> freed;  // destroyed after the lock is released
  MutexLock lock(left_mutex_);
  std::erase_if(bars_, [&](LeftBar& each) {
    if (!hypervisor_.place_bar(each.guest_address, each.bar, std::nullopt)) return false;
    freed.push_back(std::move(each.target));
    return true;
  });
}

}  // namespace passthru
