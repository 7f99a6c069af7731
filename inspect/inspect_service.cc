// SPDX-License-Identifier: MIT
// The devices that requests reach, and the sessions that watch them. A device in use stays until
// the use ends. So no call of a device is made under the mutex.
#include "inspect/inspect_service.h"

#include <algorithm>
#include <cerrno>

namespace passthru {

InspectService::InspectService(Domain& domain, const std::vector<AssignedDevice*>& devices)
    : domain_(domain) {
  for (AssignedDevice* each : devices) ignore(add(*each), "the device is in `devices` twice");
}

Result<void> InspectService::add(AssignedDevice& device) {
  MutexLock lock(devices_mutex_);
  if (find(device.bdf()) == nullptr) {
    devices_.push_back({.device = &device});
    return {};
  }
  return tl::unexpected(Error{.code = EEXIST,
                              .operation = "add a device to the inspect socket",
                              .device = device.bdf().str(),
                              .cause = "a device with its address is there already"});
}

void InspectService::remove(AssignedDevice& device) {
  const Listed* const removed = begin_removal(device);
  if (removed == nullptr) return;
  for (const auto& [vector, watchers] : removed->watchers) {
    ignore(device.watch(vector, false),
           "then the vector stays with the forwarder, which also delivers");
  }
  MutexLock lock(devices_mutex_);
  devices_.remove_if([removed](const Listed& each) { return &each == removed; });
  changed_.notify_all();
}

// Waits until no answer uses the device, and ends the sessions' watches. Returns null if there is
// nothing to remove.
InspectService::Listed* InspectService::begin_removal(const AssignedDevice& device) {
  const Bdf bdf = device.bdf();
  MutexLock lock(devices_mutex_);
  Listed* listed = find(bdf);
  // Another thread may be removing the device.
  while (listed != nullptr && listed->device == &device && listed->leaving) {
    changed_.wait(devices_mutex_);
    listed = find(bdf);
  }
  // A device that was detached and opened again has the same address.
  if (listed == nullptr || listed->device != &device) return nullptr;
  listed->leaving = true;
  while (listed->uses != 0) changed_.wait(devices_mutex_);
  for (auto& [session, watches] : sessions_) {
    watches.devices.erase(bdf);
    std::erase_if(watches.vectors, [bdf](const auto& each) { return each.first == bdf; });
    keep_marks(watches);
  }
  return listed;
}

InspectService::Listed* InspectService::find(Bdf bdf) {
  const auto found = std::find_if(devices_.begin(), devices_.end(),
                                  [bdf](const Listed& each) { return each.device->bdf() == bdf; });
  return found == devices_.end() ? nullptr : &*found;
}

std::vector<Bdf> InspectService::listed() {
  MutexLock lock(devices_mutex_);
  std::vector<Bdf> devices;
  for (const Listed& each : devices_) {
    if (!each.leaving) devices.push_back(each.device->bdf());
  }
  return devices;
}

InspectService::Use InspectService::use(Bdf bdf) {
  MutexLock lock(devices_mutex_);
  Listed* listed = find(bdf);
  if (listed != nullptr && listed->leaving) listed = nullptr;
  if (listed != nullptr) ++listed->uses;
  return {listed, EndUse{this}};
}

void InspectService::EndUse::operator()(Listed* listed) const {
  MutexLock lock(service->devices_mutex_);
  --listed->uses;
  service->changed_.notify_all();
}

Result<void> InspectService::watch(const Session& session, Listed& listed, unsigned vector,
                                   bool on) {
  const Bdf bdf = listed.device->bdf();
  if (watches(session, bdf, vector) == on) return {};
  const auto watchers = listed.watchers.find(vector);
  const unsigned others = watchers == listed.watchers.end() ? 0 : watchers->second - (on ? 0 : 1);
  Result<void> done;
  if (others == 0) done = listed.device->watch(vector, on);
  if (on && !done) return done;
  // A watch ends whatever the device returns.
  if (on || others != 0) {
    listed.watchers[vector] = others + (on ? 1 : 0);
  } else {
    listed.watchers.erase(vector);
  }
  MutexLock lock(devices_mutex_);
  Watches& all = sessions_[&session];
  if (on) {
    all.vectors.insert({bdf, vector});
  } else {
    all.vectors.erase({bdf, vector});
  }
  keep_marks(all);
  // A detached device is no longer watched.
  if (!done && done.error().code == ENODEV) return {};
  return done;
}

void InspectService::watch_device(const Session& session, Bdf bdf, bool on) {
  MutexLock lock(devices_mutex_);
  Watches& all = sessions_[&session];
  if (on) {
    all.devices.insert(bdf);
  } else {
    all.devices.erase(bdf);
  }
  keep_marks(all);
}

bool InspectService::watches(const Session& session, Bdf bdf, unsigned vector) {
  MutexLock lock(devices_mutex_);
  return sessions_[&session].vectors.contains({bdf, vector});
}

bool InspectService::watches_anything(const Session& session) {
  MutexLock lock(devices_mutex_);
  const Watches& all = sessions_[&session];
  return !all.vectors.empty() || !all.devices.empty();
}

// Keeps marks while a session watches anything, also before a guest's driver has its vectors.
void InspectService::keep_marks(Watches& watches) {
  const bool wanted = !watches.vectors.empty() || !watches.devices.empty();
  if (wanted == std::exchange(watches.marking, wanted)) return;
  if (wanted) {
    domain_.marks().begin();
  } else {
    domain_.marks().end();
  }
}

void InspectService::end(const Session& session) {
  std::set<std::pair<Bdf, unsigned>> vectors;
  {
    MutexLock lock(devices_mutex_);
    vectors = sessions_[&session].vectors;
  }
  for (const auto& [bdf, vector] : vectors) {
    const Use watched = use(bdf);
    // Null: `remove` ends the watches of this device.
    if (watched == nullptr) continue;
    ignore(watch(session, *watched, vector, false),
           "then the vector stays with the forwarder, which also delivers");
  }
  MutexLock lock(devices_mutex_);
  Watches& all = sessions_[&session];
  all.vectors.clear();
  all.devices.clear();
  keep_marks(all);
  sessions_.erase(&session);
}

}  // namespace passthru
