// SPDX-License-Identifier: MIT
// The devices of one VM, for resets of a slot or bus: such a reset must not hit a device that the
// guest uses. Private to device/.
#pragma once

#include <functional>
#include <set>
#include <span>
#include <vector>

#include "base/mutex.h"
#include "base/result.h"
#include "pci/bdf.h"
#include "vfio/kernel.h"

namespace passthru {

/// A device that a reset for another device may reset too.
class BusResetMember {
 public:
  virtual ~BusResetMember() = default;
  [[nodiscard]] virtual Bdf bdf() const = 0;
  /// Takes an unused device from the guest while it is reset. Returns false if the device must not
  /// be reset: the guest may use it. A detached device needs no pause: returns true.
  virtual bool pause() = 0;
  /// Ends a pause: the guest finds the device as after power-on.
  virtual void resume() = 0;
};

/// Resets of a slot or bus, one at a time. Thread-safe. Its lock is taken after a device's reset
/// lock and before the lock of any device. No vCPU waits for it.
class BusResets {
 public:
  BusResets() = default;
  BusResets(const BusResets&) = delete;
  BusResets& operator=(const BusResets&) = delete;

  /// Adds a device that is being opened. Until `set_opened` it counts as used.
  void add(BusResetMember& member) PASSTHRU_EXCLUDES(members_mutex_);
  void set_opened(const BusResetMember& member) PASSTHRU_EXCLUDES(members_mutex_);
  /// Waits for a reset that is under way.
  void remove(const BusResetMember& member) PASSTHRU_EXCLUDES(members_mutex_);

  /// Calls `reset`, which resets the `affected` functions. Those in `stopped` are ready for it. All
  /// other devices of the VM among them are paused meanwhile.
  ///
  /// Errors:
  /// - EPERM: the guest may use a device that is not in `stopped`. Nothing was reset.
  /// - the errno of `reset`.
  Result<void> reset(std::span<const HotResetFunction> affected, const std::set<Bdf>& stopped,
                     const std::function<Result<void>()>& reset) PASSTHRU_EXCLUDES(members_mutex_);

 private:
  struct Member {
    BusResetMember* device;
    bool opened;
  };

  Mutex members_mutex_;  ///< held while a slot or bus is reset
  std::vector<Member> members_ PASSTHRU_GUARDED_BY(members_mutex_);
};

}  // namespace passthru
