// SPDX-License-Identifier: MIT
// A VMM for tests: it records routes, mappings and events, and any call can be made to fail. It
// stands in for KVM: a signalled armed eventfd counts as a message delivered to the guest.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/mutex.h"
#include "device/hypervisor.h"
#include "tests/fakes/fake_hook.h"
#include "vfio/kernel.h"

namespace passthru {

/// Passthru's side is thread-safe; a test inspects the state while no other thread uses it. A
/// breach of the contract of Router or GuestMapper (an eventfd armed twice, a route destroyed while
/// armed) fails the test at once.
class FakeHypervisor : public Hypervisor {
 public:
  explicit FakeHypervisor(Kernel& kernel) : kernel_(kernel) {}
  ~FakeHypervisor() override;

  Result<void> map(const GuestMapping& mapping) override;
  Result<void> unmap(const GuestMapping& mapping) override;
  Result<void> trap(GuestSpace space, uint64_t address, uint64_t size) override;
  void untrap(GuestSpace space, uint64_t address, uint64_t size) override;
  Result<void> place_bar(Bdf guest_address, unsigned bar, std::optional<uint64_t> address) override;
  Result<MsiMessage> translate(const MsiMessage& message, uint16_t requester_id) override;
  Result<RouteId> create_route(const MsiMessage& message, uint16_t requester_id) override;
  Result<void> update_route(RouteId route, const MsiMessage& message) override;
  void destroy_route(RouteId route) override;
  Result<void> arm(RouteId route, int eventfd) override;
  void disarm(RouteId route, int eventfd) override;
  Result<void> signal_msi(const MsiMessage& message, uint16_t requester_id) override;
  Result<void> arm_intx(Bdf guest_address, unsigned pin, int eventfd, int resample) override;
  void disarm_intx(Bdf guest_address, unsigned pin, int eventfd) override;
  [[nodiscard]] bool intx_by_level() const override { return by_level; }
  [[nodiscard]] bool msi_by_message() const override { return by_message; }
  [[nodiscard]] bool takes_signals_at_once() const override { return !polls; }
  void set_intx(Bdf guest_address, unsigned pin, bool level) override;
  void on_event(const Event& event) override;
  Result<void> file_added(int fd) override;
  void file_removed(int fd) override;

  /// Makes the nth next call of this name fail once. Names: "map", "unmap", "trap", "place_bar",
  /// "create_route", "update_route", "arm", "arm_intx", "file_added".
  void fail_next(std::string_view call, int code, unsigned nth = 1);
  /// Returns the messages delivered since the last call. Drains every armed eventfd.
  std::vector<MsiMessage> delivered();
  [[nodiscard]] size_t routes() const { return routes_.size(); }
  [[nodiscard]] size_t armed() const;
  [[nodiscard]] bool intx_armed() const { return !intx_.empty(); }
  /// Returns whether an INTx was asserted since the last call.
  bool intx_delivered();
  /// Returns whether an INTx line is high. Thread-safe.
  bool intx_level();
  /// Counts how many times an INTx line went high. Thread-safe.
  uint64_t intx_rises();
  /// Signals the guest's end of interrupt for every armed INTx.
  void end_of_intx();
  [[nodiscard]] const std::vector<GuestMapping>& mappings() const { return mappings_; }
  /// A range that the library answers.
  struct Trap {
    GuestSpace space = GuestSpace::Memory;
    uint64_t address = 0;
    uint64_t size = 0;
    bool operator==(const Trap&) const = default;
  };
  [[nodiscard]] const std::vector<Trap>& traps() const { return traps_; }
  /// Returns the addresses of the BARs that this VMM has placed.
  using PlacedBars = std::map<unsigned, uint64_t>;
  [[nodiscard]] PlacedBars placed(Bdf guest_address) const;

  /// Runs before and after each call that changes a mapping, a route, an irqfd or a line.
  FakeHook hook{};
  std::vector<Event> events{};
  std::set<int> files{};    ///< descriptors of groups and devices
  bool by_level = false;    ///< a VMM without resampling irqfds; set before a device is opened
  bool by_message = false;  ///< a VMM without irqfds; set before a device is opened
  bool polls = false;       ///< a VMM that reads its eventfds' counters later
  std::set<unsigned> kept_bars{};         ///< BARs that this VMM fails to remove
  std::set<uint64_t> refused_places{};    ///< addresses at which it places no BAR
  std::vector<unsigned> bars_in_calls{};  ///< the BAR of each place_bar
  unsigned route_updates = 0;
  std::function<void()> on_destroy_route{};  ///< runs in the middle of the call
  size_t max_routes = SIZE_MAX;              ///< at the same time
  /// The VMM's interrupt remapping. Empty: the guest has no interrupt remapping.
  std::function<Result<MsiMessage>(const MsiMessage&, uint16_t requester_id)> translation{};

 private:
  struct Route {
    MsiMessage message;
    int eventfd = -1;
  };
  struct Line {
    std::pair<Bdf, unsigned> pin;  ///< address and pin of the guest's device
    int resample = -1;
  };
  Result<void> enter(const char* call) PASSTHRU_REQUIRES(calls_mutex_);

  Kernel& kernel_;
  Mutex calls_mutex_;  ///< each call of Passthru holds it: devices call from their own threads
  std::map<RouteId, Route> routes_;
  std::vector<GuestMapping> mappings_;
  std::vector<Trap> traps_;
  std::map<std::pair<Bdf, unsigned>, uint64_t> placed_;  ///< by guest address and BAR
  std::vector<MsiMessage> signalled_;
  std::map<int, Line> intx_;  ///< keyed by the armed eventfd
  RouteId next_route_ = 24;
  std::set<std::pair<Bdf, unsigned>> high_;  ///< the pins that are driven high
  uint64_t rises_ = 0;
  std::string failing_;
  int failing_code_ = 0;
  unsigned failing_in_ = 0;
};

}  // namespace passthru
