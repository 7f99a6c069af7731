// SPDX-License-Identifier: MIT
#include "tests/fakes/fake_hypervisor.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace passthru {

FakeHypervisor::~FakeHypervisor() {
  EXPECT_TRUE(routes_.empty()) << "routes leaked";
  EXPECT_TRUE(mappings_.empty()) << "mappings leaked";
  EXPECT_TRUE(traps_.empty()) << "announcements leaked";
  EXPECT_TRUE(placed_.empty()) << "BARs leaked";
  EXPECT_TRUE(high_.empty()) << "an INTx line stays high forever";
}

Result<void> FakeHypervisor::enter(const char* call) {
  if (failing_ != call || --failing_in_ != 0) return {};
  failing_.clear();
  return fail(failing_code_, call);
}

void FakeHypervisor::fail_next(std::string_view call, int code, unsigned nth) {
  failing_ = call;
  failing_code_ = code;
  failing_in_ = nth;
}

Result<void> FakeHypervisor::map(const GuestMapping& mapping) {
  const FakeHook::Around around(hook, "map");
  MutexLock lock(calls_mutex_);
  PASSTHRU_TRY(enter("map"));
  for (const GuestMapping& other : mappings_) {
    EXPECT_TRUE(mapping.address + mapping.size <= other.address ||
                other.address + other.size <= mapping.address)
        << "two mappings overlap";
  }
  mappings_.push_back(mapping);
  return {};
}

Result<void> FakeHypervisor::unmap(const GuestMapping& mapping) {
  const FakeHook::Around around(hook, "unmap");
  MutexLock lock(calls_mutex_);
  PASSTHRU_TRY(enter("unmap"));
  EXPECT_EQ(std::erase(mappings_, mapping), 1U) << "unmapped a range that was not mapped";
  return {};
}

Result<void> FakeHypervisor::trap(GuestSpace space, uint64_t address, uint64_t size) {
  const FakeHook::Around around(hook, "trap");
  MutexLock lock(calls_mutex_);
  PASSTHRU_TRY(enter("trap"));
  traps_.push_back({space, address, size});
  return {};
}

void FakeHypervisor::untrap(GuestSpace space, uint64_t address, uint64_t size) {
  const FakeHook::Around around(hook, "untrap");
  MutexLock lock(calls_mutex_);
  const auto found = std::find(traps_.begin(), traps_.end(), Trap{space, address, size});
  ASSERT_NE(found, traps_.end()) << "takes back a range that was not announced";
  traps_.erase(found);
}

Result<void> FakeHypervisor::place_bar(Bdf guest_address, unsigned bar,
                                       std::optional<uint64_t> address) {
  const FakeHook::Around around(hook, "place_bar");
  MutexLock lock(calls_mutex_);
  bars_in_calls.push_back(bar);
  PASSTHRU_TRY(enter("place_bar"));
  if (address) {
    if (refused_places.contains(*address)) return fail(ENOSPC, "place_bar");
    placed_[{guest_address, bar}] = *address;
    return {};
  }
  if (kept_bars.contains(bar)) return fail(EIO, "place_bar");
  EXPECT_EQ(placed_.erase({guest_address, bar}), 1U) << "removed a BAR that was not placed";
  return {};
}

FakeHypervisor::PlacedBars FakeHypervisor::placed(Bdf guest_address) const {
  PlacedBars bars;
  for (const auto& [place, address] : placed_) {
    if (place.first == guest_address) bars[place.second] = address;
  }
  return bars;
}

Result<MsiMessage> FakeHypervisor::translate(const MsiMessage& message, uint16_t requester_id) {
  return translation ? translation(message, requester_id)
                     : Router::translate(message, requester_id);
}

Result<RouteId> FakeHypervisor::create_route(const MsiMessage& message, uint16_t /*requester_id*/) {
  const FakeHook::Around around(hook, "create_route");
  MutexLock lock(calls_mutex_);
  PASSTHRU_TRY(enter("create_route"));
  if (routes_.size() >= max_routes) return fail(ENOSPC, "create a route", "all are in use");
  routes_[next_route_] = {.message = message};
  return next_route_++;
}

Result<void> FakeHypervisor::update_route(RouteId route, const MsiMessage& message) {
  const FakeHook::Around around(hook, "update_route");
  MutexLock lock(calls_mutex_);
  PASSTHRU_TRY(enter("update_route"));
  EXPECT_TRUE(routes_.contains(route));
  ++route_updates;
  routes_[route].message = message;
  return {};
}

void FakeHypervisor::destroy_route(RouteId route) {
  const FakeHook::Around around(hook, "destroy_route");
  MutexLock lock(calls_mutex_);
  EXPECT_EQ(routes_[route].eventfd, -1) << "destroyed while armed";
  EXPECT_EQ(routes_.erase(route), 1U);
  if (on_destroy_route) on_destroy_route();
}

Result<void> FakeHypervisor::arm(RouteId route, int eventfd) {
  const FakeHook::Around around(hook, "arm");
  MutexLock lock(calls_mutex_);
  PASSTHRU_TRY(enter("arm"));
  EXPECT_GE(eventfd, 0);
  EXPECT_TRUE(routes_.contains(route)) << "the route must exist before its irqfd is armed";
  EXPECT_EQ(routes_[route].eventfd, -1) << "armed twice";
  routes_[route].eventfd = eventfd;
  return {};
}

void FakeHypervisor::disarm(RouteId route, int eventfd) {
  const FakeHook::Around around(hook, "disarm");
  MutexLock lock(calls_mutex_);
  EXPECT_EQ(routes_[route].eventfd, eventfd);
  // Every signal from before the return counts as delivered.
  auto count = kernel_.drain_eventfd(eventfd);
  if (count && *count != 0) signalled_.push_back(routes_[route].message);
  routes_[route].eventfd = -1;
}

Result<void> FakeHypervisor::signal_msi(const MsiMessage& message, uint16_t /*requester_id*/) {
  const FakeHook::Around around(hook, "signal_msi");
  MutexLock lock(calls_mutex_);
  PASSTHRU_TRY(enter("signal_msi"));
  signalled_.push_back(message);
  return {};
}

Result<void> FakeHypervisor::arm_intx(Bdf guest_address, unsigned pin, int eventfd, int resample) {
  const FakeHook::Around around(hook, "arm_intx");
  MutexLock lock(calls_mutex_);
  PASSTHRU_TRY(enter("arm_intx"));
  const bool is_new =
      intx_.insert({eventfd, {.pin = {guest_address, pin}, .resample = resample}}).second;
  EXPECT_TRUE(is_new) << "armed twice";
  return {};
}

void FakeHypervisor::disarm_intx(Bdf guest_address, unsigned pin, int eventfd) {
  const FakeHook::Around around(hook, "disarm_intx");
  MutexLock lock(calls_mutex_);
  const auto line = intx_.find(eventfd);
  ASSERT_NE(line, intx_.end()) << "disarmed an eventfd that was not armed";
  EXPECT_EQ(line->second.pin, std::pair(guest_address, pin));
  intx_.erase(line);
}

bool FakeHypervisor::intx_delivered() {
  bool delivered = false;
  for (const auto& [eventfd, line] : intx_) {
    const auto count = kernel_.drain_eventfd(eventfd);
    delivered |= count && *count != 0;
  }
  return delivered;
}

void FakeHypervisor::end_of_intx() {
  for (const auto& [eventfd, line] : intx_)
    ignore(kernel_.signal_eventfd(line.resample), "the counter is never full");
}

void FakeHypervisor::set_intx(Bdf guest_address, unsigned pin, bool level) {
  const FakeHook::Around around(hook, "set_intx");
  MutexLock lock(calls_mutex_);
  EXPECT_TRUE(by_level) << "a VMM with resampling irqfds must not receive levels";
  if (level) {
    ++rises_;
    high_.emplace(guest_address, pin);
  } else {
    high_.erase({guest_address, pin});
  }
}

bool FakeHypervisor::intx_level() {
  MutexLock lock(calls_mutex_);
  return !high_.empty();
}

uint64_t FakeHypervisor::intx_rises() {
  MutexLock lock(calls_mutex_);
  return rises_;
}

void FakeHypervisor::on_event(const Event& event) {
  MutexLock lock(calls_mutex_);
  events.push_back(event);
}

Result<void> FakeHypervisor::file_added(int fd) {
  MutexLock lock(calls_mutex_);
  PASSTHRU_TRY(enter("file_added"));
  if (!files.insert(fd).second) ADD_FAILURE() << "file " << fd << " was added twice";
  return {};
}

void FakeHypervisor::file_removed(int fd) {
  MutexLock lock(calls_mutex_);
  if (files.erase(fd) == 0) ADD_FAILURE() << "file " << fd << " was not added";
}

std::vector<MsiMessage> FakeHypervisor::delivered() {
  MutexLock lock(calls_mutex_);
  for (auto& [id, route] : routes_) {
    if (route.eventfd < 0) continue;
    auto count = kernel_.drain_eventfd(route.eventfd);
    if (count && *count != 0) signalled_.push_back(route.message);
  }
  return std::exchange(signalled_, {});
}

size_t FakeHypervisor::armed() const {
  return static_cast<size_t>(std::count_if(
      routes_.begin(), routes_.end(), [](const auto& route) { return route.second.eventfd >= 0; }));
}

}  // namespace passthru
