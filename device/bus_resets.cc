// SPDX-License-Identifier: MIT
#include "device/bus_resets.h"

#include <fmt/format.h>

#include <algorithm>

namespace passthru {

void BusResets::add(BusResetMember& member) {
  MutexLock lock(members_mutex_);
  members_.push_back({.device = &member, .opened = false});
}

void BusResets::set_opened(const BusResetMember& member) {
  MutexLock lock(members_mutex_);
  for (Member& each : members_) each.opened |= each.device == &member;
}

void BusResets::remove(const BusResetMember& member) {
  MutexLock lock(members_mutex_);
  std::erase_if(members_, [&](const Member& each) { return each.device == &member; });
}

Result<void> BusResets::reset(std::span<const HotResetFunction> affected,
                              const std::set<Bdf>& stopped,
                              const std::function<Result<void>()>& reset) {
  MutexLock lock(members_mutex_);
  Result<void> done;
  std::vector<BusResetMember*> paused;
  for (const Member& each : members_) {
    const Bdf bdf = each.device->bdf();
    const bool affects = std::any_of(affected.begin(), affected.end(),
                                     [&](const auto& function) { return function.bdf == bdf; });
    if (!affects || stopped.contains(bdf)) continue;
    if (!each.opened || !each.device->pause()) {
      done = tl::unexpected(
          Error{.code = EPERM, .operation = "reset the slot or bus"}
              .because(fmt::format(
                  "a reset of its slot or bus would also reset {}, which this VM uses", bdf.str()))
              .advise("Reset all devices of the slot or bus together"));
      break;
    }
    paused.push_back(each.device);
  }
  if (done) done = reset();
  for (BusResetMember* device : paused) device->resume();
  return done;
}

}  // namespace passthru
