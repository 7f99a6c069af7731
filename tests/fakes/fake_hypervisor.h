// SPDX-License-Identifier: MIT
// Owns a VMM for tests: routes, mappings and events as it was told of them, any call made to fail.
// It stands in for KVM: an armed eventfd that was signalled is a message delivered to the guest.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
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

/// Passthru's side is thread-safe; a test looks at it while nobody is at work. Breaking the
/// contract of Router or GuestMapper (an eventfd armed twice, a route destroyed while armed) fails
/// the test at once.
class FakeHypervisor : public Hypervisor {
 public:
  explicit FakeHypervisor(Kernel& kernel) : kernel_(kernel) {}
  ~FakeHypervisor() override;

  Result<void> map(const GuestMapping& mapping) override;
  Result<void> unmap(const GuestMapping& mapping) override;
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

  /// The nth call of this name from now on ("map", "unmap", "create_route", "update_route", "arm",
  /// "arm_intx", "file_added") fails once.
  void fail_next(std::string_view call, int code, unsigned nth = 1);
  /// What reached the guest since the last time: takes the counter of every armed eventfd.
  std::vector<MsiMessage> delivered();
  [[nodiscard]] size_t routes() const { return routes_.size(); }
  [[nodiscard]] size_t armed() const;
  [[nodiscard]] bool intx_armed() const { return !intx_.empty(); }
  /// Whether any INTx was asserted since the last time.
  bool intx_delivered();
  /// Whether any INTx is driven high. Any thread.
  bool intx_level();
  /// How often one was driven high. Any thread.
  uint64_t intx_rises();
  /// The guest's end of interrupt, for every INTx that is armed.
  void end_of_intx();
  [[nodiscard]] const std::vector<GuestMapping>& mappings() const { return mappings_; }

  /// Before and after each call that changes a mapping, a route, an irqfd or a line.
  FakeHook hook{};
  std::vector<Event> events{};
  std::set<int> files{};    ///< of groups and devices, by descriptor
  bool by_level = false;    ///< a VMM without resampling irqfds; set before a device is opened
  bool by_message = false;  ///< a VMM without irqfds; set before a device is opened
  bool polls = false;       ///< a VMM that takes the counters of its eventfds some time later
  unsigned route_updates = 0;
  std::function<void()> on_destroy_route{};  ///< what happens meanwhile, in the middle of a call
  size_t max_routes = SIZE_MAX;              ///< that there are at a time
  /// The VMM's interrupt remapping; without it, a guest that has none.
  std::function<Result<MsiMessage>(const MsiMessage&, uint16_t requester_id)> translation{};

 private:
  struct Route {
    MsiMessage message;
    int eventfd = -1;
  };
  struct Line {
    std::pair<Bdf, unsigned> pin;  ///< of the guest's device
    int resample = -1;
  };
  Result<void> enter(const char* call) PASSTHRU_REQUIRES(calls_mutex_);

  Kernel& kernel_;
  Mutex calls_mutex_;  ///< held by each call of Passthru: devices call from their own threads
  std::map<RouteId, Route> routes_;
  std::vector<GuestMapping> mappings_;
  std::vector<MsiMessage> signalled_;
  std::map<int, Line> intx_;  ///< by the eventfd that is armed
  RouteId next_route_ = 24;
  std::set<std::pair<Bdf, unsigned>> high_;  ///< the pins that are driven high
  uint64_t rises_ = 0;
  std::string failing_;
  int failing_code_ = 0;
  unsigned failing_in_ = 0;
};

}  // namespace passthru
