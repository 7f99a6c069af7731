// SPDX-License-Identifier: MIT
// The BARs that a VMM failed to remove from its guest when their device was detached. Domain keeps
// them.
#pragma once

#include <array>
#include <memory>
#include <vector>

#include "base/mutex.h"
#include "device/hypervisor.h"
#include "mmap/access.h"
#include "mmap/bar_info.h"
#include "pci/bdf.h"

namespace passthru {

/// Keeps the memory of BARs mapped in this process while the guest may still reach it, so that no
/// other memory gets its address. It also keeps their device open. Thread-safe.
class LeftBars {
 public:
  /// By index; null for a BAR that is not left.
  using Targets = std::array<std::shared_ptr<AccessTarget>, kBars>;

  /// `hypervisor` must outlive this object.
  explicit LeftBars(Hypervisor& hypervisor) : hypervisor_(hypervisor) {}
  /// Tries again to remove the BARs, and frees them in any case. No vCPU may run.
  ~LeftBars();
  LeftBars(const LeftBars&) = delete;
  LeftBars& operator=(const LeftBars&) = delete;

  void keep(Bdf guest_address, Targets targets) PASSTHRU_EXCLUDES(left_mutex_);
  /// Gives the BARs of a guest address to the device that is opened there: its own placements take
  /// their place.
  Targets take(Bdf guest_address) PASSTHRU_EXCLUDES(left_mutex_);
  /// Tries again to remove the BARs.
  void retry() PASSTHRU_EXCLUDES(left_mutex_);

 private:
  struct LeftBar {
    Bdf guest_address;
    unsigned bar;
    std::shared_ptr<AccessTarget> target;
  };

  Hypervisor& hypervisor_;
  Mutex left_mutex_;  ///< protects the BARs; held while the VMM removes them
  std::vector<LeftBar> bars_ PASSTHRU_GUARDED_BY(left_mutex_);
};

}  // namespace passthru
