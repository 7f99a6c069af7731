// SPDX-License-Identifier: MIT
// The BARs of one device in the guest: their mappings into this process, their places in the guest,
// and the targets of trapped accesses. The device calls `place` when its decode changes.
#pragma once

#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "base/result.h"
#include "mmap/bar.h"
#include "mmap/bar_info.h"
#include "mmap/bar_placer.h"
#include "vfio/device.h"

namespace passthru {

struct BarsOptions {
  /// BARs that the user does not want mapped (bit n: BAR n). All their accesses are trapped.
  unsigned excluded = 0;
};

/// The BARs and the expansion ROM of one device.
class Bars {
 public:
  /// Maps the parts that `layout_bar` allows into this process. If the kernel then refuses to map a
  /// part, it is trapped. The guest sees no BAR before `place`. `placer` puts the BARs into the
  /// guest.
  ///
  /// Errors:
  /// - EINVAL: an overlay is not within its BAR.
  static Result<std::unique_ptr<Bars>> create(const std::shared_ptr<VfioDevice>& device,
                                              std::unique_ptr<BarPlacer> placer,
                                              const BarInfos& shapes,
                                              std::vector<BarOverlay> overlays,
                                              const BarsOptions& options = {});
  /// Removes the BARs from the guest and waits for accesses under way. Must not run inside an
  /// access.
  ~Bars();
  Bars(const Bars&) = delete;
  Bars& operator=(const Bars&) = delete;

  /// Moves the BARs in one step. On error (the VMM refused a mapping) all BARs stay where they
  /// were. A BAR whose address does not change is not touched. A BAR beyond its space's limit is
  /// unreachable, as on a bus that does not forward its address. Removing BARs never fails. Not
  /// thread-safe.
  Result<void> place(const BarAddresses& placement);
  /// Returns the last placement.
  [[nodiscard]] const BarAddresses& placement() const { return placement_; }

  [[nodiscard]] const BarTargets& targets() const { return bars_; }

  /// Returns the parts of a BAR in ascending order with their counters. Empty if the BAR does not
  /// exist. Thread-safe.
  [[nodiscard]] std::vector<BarSpanState> spans(unsigned bar) const;
  /// Returns the parts of a BAR in ascending order with their memory. Empty if the BAR does not
  /// exist. Thread-safe.
  [[nodiscard]] std::vector<BarSpanMemory> memory(unsigned bar) const;
  /// Returns how many register accesses the kernel refused; the guest read all ones. Thread-safe.
  [[nodiscard]] uint64_t failed_accesses() const;

 private:
  explicit Bars(std::unique_ptr<BarPlacer> placer) : placer_(std::move(placer)) {}

  BarTargets bars_;
  const std::unique_ptr<BarPlacer> placer_;
  BarAddresses placement_{};
};

}  // namespace passthru
