// SPDX-License-Identifier: MIT
// One BAR (or the expansion ROM) of a device: the targets that answer its bytes, its mappings into
// this process, and its counters. Only Bars creates it. Guests reach it through an AddressSpace.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "mmap/access.h"
#include "mmap/address_space.h"
#include "mmap/bar_info.h"
#include "mmap/bar_layout.h"
#include "mmap/flat_view.h"
#include "vfio/device.h"

namespace passthru {

/// A range of a BAR that `target` answers instead of the device: the MSI-X table, a PBA, another
/// ROM. No page that the range touches is mapped into the guest. `target` sees offsets relative to
/// the overlay's start. Without a target, reads are all ones and writes are dropped.
struct BarOverlay {
  unsigned bar = 0;
  uint64_t offset = 0;
  uint64_t size = 0;
  std::shared_ptr<AccessTarget> target{};
  SpanKind kind = SpanKind::MsixTable;  ///< why its pages are trapped
};

/// How a part of a BAR reaches the guest, and how many of its accesses were trapped.
struct BarSpanState {
  BarSpan span{};
  uint64_t trapped_reads = 0;
  uint64_t trapped_writes = 0;
  /// The errno with which the kernel refused to map it; EBUSY also if it refused an access, because
  /// something else in the host has the BAR. 0: neither.
  int error = 0;
};

/// One BAR. Thread-safe: after construction only counters change. A vCPU may still access it after
/// its window is removed, so it owns everything that an access needs.
class Bar final : public AccessTarget {
 public:
  /// `shape.size` is not 0. `overlays` belong to this BAR and lie within it. `forbidden` is the
  /// reason that nothing may be mapped, or Mapped. Parts that the kernel refuses to map are
  /// trapped.
  Bar(std::shared_ptr<VfioDevice> device, unsigned index, const BarInfo& shape, SpanKind forbidden,
      std::vector<BarOverlay> overlays);

  /// Reads the device's bytes in naturally aligned accesses, as wide as the guest's. If the kernel
  /// refuses an access, its bytes read as all ones and it is counted.
  void read(uint64_t offset, std::span<std::byte> data) override;
  void write(uint64_t offset, std::span<const std::byte> data) override;

  [[nodiscard]] uint64_t size() const { return size_; }
  [[nodiscard]] bool io() const { return io_; }
  /// Returns the parts that may be mapped into the guest.
  [[nodiscard]] std::vector<WindowSpan> window_spans() const;
  [[nodiscard]] std::vector<BarSpanState> state() const;
  /// Returns all parts in ascending order. The memory and the descriptor stay valid as long as this
  /// object.
  [[nodiscard]] std::vector<BarSpanMemory> memory() const;
  [[nodiscard]] uint64_t failed_accesses() const { return failed_.load(std::memory_order_relaxed); }

 private:
  /// In its own cache line: vCPUs that work on different spans do not disturb each other.
  struct alignas(64) Counters {
    std::atomic<uint64_t> reads{0};
    std::atomic<uint64_t> writes{0};
    std::atomic<int> error{0};
  };
  struct Area {
    MapArea area;
    MappedRegion region;
  };

  void map(BarSpan& span, std::atomic<int>& error);
  [[nodiscard]] const MappedRegion* find_area(const MapArea& wanted) const;
  [[nodiscard]] std::byte* memory_of(const BarSpan& span) const;
  [[nodiscard]] size_t span_at(uint64_t offset) const;
  [[nodiscard]] size_t width_at(uint64_t offset, uint64_t left) const;
  template <class Bytes, class Overlay, class Device>
  void for_each_part(uint64_t offset, Bytes data, Overlay overlay, Device device);
  template <class Bytes, class Access>
  void for_each_piece(uint64_t offset, Bytes data, Access access);

  const std::shared_ptr<VfioDevice> device_;
  const Region region_;
  const RegionInfo& info_;
  const uint64_t size_;
  const bool io_;
  const std::vector<BarOverlay> overlays_;
  std::vector<FlatSegment> parts_;  ///< `owner`: an overlay's index, or their number for the device
  std::vector<BarSpan> spans_;
  std::vector<Counters> counters_;  ///< one for each span
  std::vector<Area> areas_;
  std::atomic<bool> wide_;  ///< the kernel may accept 8-byte accesses
  std::atomic<uint64_t> failed_{0};
};

}  // namespace passthru
