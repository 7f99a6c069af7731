// SPDX-License-Identifier: MIT
// A VMM without a guest and without KVM. It polls the eventfds of the vectors for a driver in the
// same process.
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
  /// Errors:
  /// - EMFILE: no descriptor is left.
  static Result<std::unique_ptr<PolledHost>> create();

  /// Waits for an interrupt, at most `most`. Takes all interrupts that have arrived, and returns
  /// the data of their messages. Any thread may call this, except those of the library.
  std::vector<uint32_t> take(std::chrono::milliseconds most) PASSTHRU_EXCLUDES(mutex_);
  /// Returns the memory of a BAR at [address, address + size); null if the library has not mapped
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
  /// Fails with ENOTSUP: every vector has a route.
  Result<void> signal_msi(const MsiMessage& message, uint16_t requester_id) override;
  /// Does nothing: the driver does not use the pin.
  Result<void> arm_intx(Bdf /*guest_address*/, unsigned /*pin*/, int /*eventfd*/,
                        int /*resample*/) override {
    return {};
  }
  void set_intx(Bdf /*guest_address*/, unsigned /*pin*/, bool /*level*/) override {}
  /// Prints errors.
  void on_event(const Event& event) override;

 private:
  struct Route {
    MsiMessage message{};
    int eventfd = -1;  ///< while armed
  };
  explicit PolledHost(Fd poll) : poll_(std::move(poll)) {}

  const Fd poll_;        ///< epoll of the armed eventfds
  mutable Mutex mutex_;  ///< protects the following members, and the counters of the eventfds
  std::map<RouteId, Route> routes_ PASSTHRU_GUARDED_BY(mutex_);
  RouteId next_route_ PASSTHRU_GUARDED_BY(mutex_) = 0;
  std::vector<GuestMapping> mappings_ PASSTHRU_GUARDED_BY(mutex_);
};

}  // namespace passthru
