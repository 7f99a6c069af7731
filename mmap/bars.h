// SPDX-License-Identifier: MIT
// Owns one device's BARs in the guest: their mappings into this process, the windows they occupy in
// the guest's address spaces, and who answers what is trapped. The device calls `place` when its
// decode changes.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "base/result.h"
#include "mmap/address_space.h"
#include "mmap/bar.h"
#include "mmap/bar_info.h"
#include "vfio/device.h"

namespace passthru {

struct BarsOptions {
  /// BARs that the user does not want mapped (bit n for BAR n): all of their accesses are trapped.
  unsigned excluded = 0;
};

/// The BARs and the expansion ROM of one device.
class Bars {
 public:
  /// Maps what `layout_bar` allows; what the kernel then refuses to map is trapped instead. Nothing
  /// is in the guest before `place`. EINVAL: an overlay that is not within its BAR.
  static Result<std::unique_ptr<Bars>> create(const std::shared_ptr<VfioDevice>& device,
                                              AddressSpace& mmio, AddressSpace& ports,
                                              const BarInfos& shapes,
                                              std::vector<BarOverlay> overlays,
                                              const BarsOptions& options = {});
  /// Takes the BARs out of the guest and waits for the accesses under way: never from inside one.
  ~Bars();
  Bars(const Bars&) = delete;
  Bars& operator=(const Bars&) = delete;

  /// Moves the BARs in one step: on error (the VMM refused a mapping) all of them are where they
  /// were. BARs whose place does not change are not touched; one beyond its space's limit is
  /// reachable from nowhere, as on a bus that does not forward its address. Taking BARs away never
  /// fails. One call at a time.
  Result<void> place(const BarAddresses& placement);
  /// What was placed last.
  [[nodiscard]] const BarAddresses& placement() const { return placement_; }

  /// The parts of a BAR in ascending order with their counters; empty where there is no such BAR.
  /// Any thread.
  [[nodiscard]] std::vector<BarSpanState> spans(unsigned bar) const;
  /// Register accesses that the kernel refused; the guest read all ones. Any thread.
  [[nodiscard]] uint64_t failed_accesses() const;

 private:
  struct Place {
    std::optional<uint64_t> base{};  ///< empty: not in the guest
    WindowId window = 0;
  };
  Bars(AddressSpace& mmio, AddressSpace& ports);
  [[nodiscard]] AddressSpace& space_of(unsigned bar) const { return io_[bar] ? ports_ : mmio_; }
  [[nodiscard]] std::optional<uint64_t> reachable(unsigned bar,
                                                  std::optional<uint64_t> address) const;
  Result<void> move(AddressSpace& space, const BarAddresses& placement);

  AddressSpace& mmio_;
  AddressSpace& ports_;
  std::array<std::shared_ptr<Bar>, kBars> bars_;
  std::array<bool, kBars> io_{};
  std::array<Place, kBars> places_;
  BarAddresses placement_{};
};

}  // namespace passthru
