// SPDX-License-Identifier: MIT
// PolledHost reads the eventfds under its lock, and only armed eventfds: the library owns the
// counters of all others.
#include "tests/hil/storm/polled_host.h"

#include <sys/epoll.h>
#include <sys/eventfd.h>

#include <array>
#include <cerrno>
#include <cstdio>

namespace passthru {

Result<std::unique_ptr<PolledHost>> PolledHost::create() {
  Fd poll(::epoll_create1(EPOLL_CLOEXEC));
  if (!poll) return fail(errno, "epoll_create1");
  return std::unique_ptr<PolledHost>(new PolledHost(std::move(poll)));
}

std::vector<uint32_t> PolledHost::take(std::chrono::milliseconds most) {
  std::array<epoll_event, 64> ready{};
  const int count =
      ::epoll_wait(poll_.get(), ready.data(), ready.size(), static_cast<int>(most.count()));
  std::vector<uint32_t> taken;
  MutexLock lock(mutex_);
  for (int i = 0; i < count; ++i) {
    const auto route = routes_.find(ready[static_cast<size_t>(i)].data.u32);
    if (route == routes_.end() || route->second.eventfd < 0) continue;  // disarmed meanwhile
    eventfd_t signals = 0;
    if (::eventfd_read(route->second.eventfd, &signals) != 0) continue;
    taken.push_back(route->second.message.data);
  }
  return taken;
}

std::byte* PolledHost::memory(uint64_t address, uint64_t size) const {
  MutexLock lock(mutex_);
  for (const GuestMapping& mapping : mappings_) {
    if (address < mapping.address || address - mapping.address >= mapping.size) continue;
    const uint64_t offset = address - mapping.address;
    return mapping.size - offset < size ? nullptr : mapping.memory + offset;
  }
  return nullptr;
}

Result<void> PolledHost::map(const GuestMapping& mapping) {
  MutexLock lock(mutex_);
  mappings_.push_back(mapping);
  return {};
}

Result<void> PolledHost::unmap(const GuestMapping& mapping) {
  MutexLock lock(mutex_);
  std::erase(mappings_, mapping);
  return {};
}

Result<RouteId> PolledHost::create_route(const MsiMessage& message, uint16_t /*requester_id*/) {
  MutexLock lock(mutex_);
  routes_[next_route_] = {.message = message};
  return next_route_++;
}

Result<void> PolledHost::update_route(RouteId route, const MsiMessage& message) {
  MutexLock lock(mutex_);
  routes_[route].message = message;
  return {};
}

void PolledHost::destroy_route(RouteId route) {
  MutexLock lock(mutex_);
  routes_.erase(route);
}

Result<void> PolledHost::arm(RouteId route, int eventfd) {
  epoll_event event{.events = EPOLLIN, .data = {}};
  event.data.u32 = route;
  MutexLock lock(mutex_);
  if (::epoll_ctl(poll_.get(), EPOLL_CTL_ADD, eventfd, &event) != 0) {
    return fail(errno, "epoll_ctl");
  }
  routes_[route].eventfd = eventfd;
  return {};
}

void PolledHost::disarm(RouteId route, int eventfd) {
  MutexLock lock(mutex_);
  ::epoll_ctl(poll_.get(), EPOLL_CTL_DEL, eventfd, nullptr);
  routes_[route].eventfd = -1;
}

Result<void> PolledHost::signal_msi(const MsiMessage& /*message*/, uint16_t /*requester_id*/) {
  return fail(ENOTSUP, "signal a message", "every vector has a route");
}

void PolledHost::on_event(const Event& event) {
  if (event.kind == Event::Kind::DamageRestored) return;  // counted by the library
  std::fprintf(stderr, "passthru_storm: %s: %s\n", event.device.str().c_str(),
               event.detail.c_str());
}

}  // namespace passthru
