// SPDX-License-Identifier: MIT
// A VMM without a guest and without KVM: polls the eventfds of the vectors itself, for a driver in
// the same process.
#pragma once

#include <chrono>
#include <map>
#include <memory>
#include <vector>

#include "base/fd.h"
#include "base/mutex.h"
#include "device/hypervisor.h"

namespace passthru {

class PolledHost final : public Hypervisor {
 public:
  /// EMFILE: no descriptor is left.
  static Result<std::unique_ptr<PolledHost>> create();

  /// Waits until an interrupt is there, at most `most`. Takes all that are, and returns the data of
  /// their messages. Any thread but one of the library's.
  std::vector<uint32_t> take(std::chrono::milliseconds most) PASSTHRU_EXCLUDES(mutex_);
  /// The memory of a BAR at [address, address + size); null where the library has not mapped all of
  /// it in one piece.
  [[nodiscard]] std::byte* memory(uint64_t address, uint64_t size) const PASSTHRU_EXCLUDES(mutex_);

  Result<void> map(const GuestMapping& mapping) override PASSTHRU_EXCLUDES(mutex_);
  Result<void> unmap(const GuestMapping& mapping) override PASSTHRU_EXCLUDES(mutex_);
  Result<RouteId> create_route(const MsiMessage& message, uint16_t requester_id) override
      PASSTHRU_EXCLUDES(mutex_);
  Result<void> update_route(RouteId route, const MsiMessage& message) override
      PASSTHRU_EXCLUDES(mutex_);
  void destroy_route(RouteId route) override PASSTHRU_EXCLUDES(mutex_);
  Result<void> arm(RouteId route, int eventfd) override PASSTHRU_EXCLUDES(mutex_);
  void disarm(RouteId route, int eventfd) override PASSTHRU_EXCLUDES(mutex_);
  /// ENOTSUP: all messages take the way of the routes.
  Result<void> signal_msi(const MsiMessage& message, uint16_t requester_id) override;
  /// Nobody uses the pin.
  Result<void> arm_intx(Bdf /*guest_address*/, unsigned /*pin*/, int /*eventfd*/,
                        int /*resample*/) override {
    return {};
  }
  void set_intx(Bdf /*guest_address*/, unsigned /*pin*/, bool /*level*/) override {}
  /// Prints what went wrong.
  void on_event(const Event& event) override;

 private:
  struct Route {
    MsiMessage message{};
    int eventfd = -1;  ///< while armed
  };
  explicit PolledHost(Fd poll) : poll_(std::move(poll)) {}

  const Fd poll_;        ///< epoll, of the eventfds that are armed
  mutable Mutex mutex_;  ///< protects what follows, and the counters of the eventfds
  std::map<RouteId, Route> routes_ PASSTHRU_GUARDED_BY(mutex_);
  RouteId next_route_ PASSTHRU_GUARDED_BY(mutex_) = 0;
  std::vector<GuestMapping> mappings_ PASSTHRU_GUARDED_BY(mutex_);
};

}  // namespace passthru
