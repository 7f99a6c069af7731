// SPDX-License-Identifier: MIT
// The order of Linux's pci_assign_unassigned_resources: BARs by descending alignment, each by first
// fit in its window.
#include "vmm/bar_windows.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <iterator>
#include <string>
#include <utility>

#include "base/size_text.h"
#include "mmap/bar_info.h"

namespace passthru {
namespace {

constexpr unsigned kUsualBits = 39;  // that every IOMMU and every recent CPU has
constexpr unsigned kMaxBits = 52;    // of x86-64

constexpr uint64_t aligned_up(uint64_t value, uint64_t step) {
  return (value + step - 1) / step * step;
}

/// The free addresses of a window.
class FreeAddresses {
 public:
  explicit FreeAddresses(const AddressWindow& window) {
    if (window.size() != 0) free_.push_back(window);
  }
  /// Takes the lowest addresses for a BAR. Returns whether there was room.
  bool take(uint64_t size) {
    for (auto gap = free_.begin(); gap != free_.end(); ++gap) {
      const uint64_t begin = aligned_up(gap->begin, size);
      if (begin < gap->begin || begin >= gap->end || gap->end - begin < size) continue;
      const AddressWindow before{gap->begin, begin};
      const AddressWindow after{begin + size, gap->end};
      gap = free_.erase(gap);
      if (after.size() != 0) gap = free_.insert(gap, after);
      if (before.size() != 0) free_.insert(gap, before);
      return true;
    }
    return false;
  }

 private:
  std::vector<AddressWindow> free_;  // ascending
};

std::vector<GuestBar> largest_first(std::vector<GuestBar> bars) {
  std::stable_sort(bars.begin(), bars.end(),
                   [](const GuestBar& a, const GuestBar& b) { return a.size > b.size; });
  return bars;
}

std::vector<GuestBar> those_of(const std::vector<GuestBar>& bars, bool is_64bit) {
  std::vector<GuestBar> those;
  std::copy_if(bars.begin(), bars.end(), std::back_inserter(those),
               [is_64bit](const GuestBar& bar) { return bar.is_64bit == is_64bit; });
  return those;
}

bool all_fit(const std::vector<GuestBar>& sorted, const AddressWindow& window) {
  FreeAddresses free(window);
  return std::all_of(sorted.begin(), sorted.end(),
                     [&free](const GuestBar& bar) { return free.take(bar.size); });
}

/// Returns the first window in which all `bars` fit, otherwise the largest window.
AddressWindow choose(const std::vector<AddressWindow>& windows, std::vector<GuestBar> bars) {
  const std::vector<GuestBar> sorted = largest_first(std::move(bars));
  AddressWindow largest;
  for (const AddressWindow& window : windows) {
    if (all_fit(sorted, window)) return window;
    if (window.size() > largest.size()) largest = window;
  }
  return largest;
}

std::vector<AddressWindow> low_windows(const RamLayout& ram) {
  std::vector<AddressWindow> windows;
  for (const uint64_t begin : {kWindow32, 2 * kGiB, kGiB}) {
    if (begin >= ram.low_end()) windows.push_back({begin, kEcam});
  }
  return windows;
}

/// Appends the parts of `wanted` that devices reach.
void append_reachable(std::vector<AddressWindow>& windows, const AddressWindow& wanted,
                      const std::vector<IovaRange>& reachable) {
  if (wanted.begin >= wanted.end) return;
  if (reachable.empty()) windows.push_back(wanted);
  for (const IovaRange& range : reachable) {
    const uint64_t begin = std::max(wanted.begin, range.first);
    const uint64_t last = std::min(wanted.end - 1, range.last);
    if (begin <= last) windows.push_back({begin, last + 1});
  }
}

std::vector<AddressWindow> high_windows(const AddressLimits& limits) {
  const unsigned bits = std::min(limits.physical_bits, kMaxBits);
  const uint64_t ram_end = aligned_up(limits.ram.high_end(), kGiB);
  std::vector<AddressWindow> windows;
  for (unsigned most = kUsualBits; most <= bits; ++most) {
    append_reachable(windows, {std::max(ram_end, kWindow64), uint64_t{1} << most},
                     limits.reachable);
  }
  append_reachable(windows, {ram_end, uint64_t{1} << bits}, limits.reachable);
  return windows;
}

/// Names the largest BARs, and counts the others.
std::string names_of(const std::vector<GuestBar>& bars) {
  constexpr size_t kNamed = 16;
  const std::vector<GuestBar> sorted = largest_first(bars);
  std::string names;
  for (size_t i = 0; i < std::min(sorted.size(), kNamed); ++i) {
    const GuestBar& bar = sorted[i];
    const std::string name = bar.index == kRomBar ? "ROM" : fmt::format("BAR {}", bar.index);
    names += fmt::format("{}{} {} ({})", i == 0 ? "" : ", ", bar.device.str(), name,
                         size_text(bar.size));
  }
  if (sorted.size() > kNamed) names += fmt::format(" and {} more", sorted.size() - kNamed);
  return names;
}

/// Returns why the high window is not larger.
std::string end_of(const AddressWindow& high, const std::vector<GuestBar>& bars,
                   AddressLimits limits) {
  limits.reachable.clear();
  if (choose(high_windows(limits), bars).size() > high.size())
    return "Devices do not reach the addresses behind it by DMA, so --p2p=off makes it larger";
  return fmt::format("The guest's CPUs have {} address bits",
                     std::min(limits.physical_bits, kMaxBits));
}

bool fit_without_high_ram(const std::vector<GuestBar>& bars, AddressLimits limits) {
  std::erase_if(limits.ram.parts, [](const auto& part) { return part.address >= 4 * kGiB; });
  return all_fit(largest_first(bars), choose(high_windows(limits), bars));
}

std::string advice(bool is_64bit, const std::vector<GuestBar>& bars, const AddressLimits& limits) {
  constexpr AddressWindow kLargestLow{.begin = kGiB, .end = kEcam};
  if (is_64bit && limits.ram.high_end() > 4 * kGiB && fit_without_high_ram(bars, limits))
    return "Give the guest less memory, or assign fewer devices";
  const bool has_low_hole = !limits.ram.holes.empty() && limits.ram.holes.front().begin < kGiB;
  if (!is_64bit && limits.ram.low_end() > kGiB && !has_low_hole &&
      all_fit(largest_first(bars), kLargestLow)) {
    return "Give the guest at most --memory 1G, which makes the window larger, or fewer devices";
  }
  return "Assign fewer devices";
}

/// Returns the error for BARs of one width, which do not all fit into `window`.
Error no_place(bool is_64bit, const std::vector<GuestBar>& all, const AddressWindow& window,
               const AddressLimits& limits) {
  const std::vector<GuestBar> bars = those_of(all, is_64bit);
  uint64_t sum = 0;
  for (const GuestBar& bar : bars) sum += std::min(bar.size, UINT64_MAX - sum);
  return Error{.code = ENOSPC, .operation = "place the devices' BARs"}
      .because(fmt::format(
          "{} need {} of {}-bit addresses, and the guest's window from {:#x} to {:#x} has {}{}",
          names_of(bars), size_text(sum), is_64bit ? 64 : 32, window.begin,
          window.size() == 0 ? window.begin : window.end - 1, size_text(window.size()),
          is_64bit ? ". " + end_of(window, bars, limits) : ""))
      .advise(advice(is_64bit, bars, limits));
}

}  // namespace

std::vector<GuestBar> bars_without_place(std::vector<GuestBar> bars, const BarWindows& windows) {
  FreeAddresses low(windows.low);
  FreeAddresses high(windows.high);
  std::vector<GuestBar> left;
  for (const GuestBar& bar : largest_first(std::move(bars))) {
    if ((bar.is_64bit && high.take(bar.size)) || low.take(bar.size)) continue;
    left.push_back(bar);
  }
  return left;
}

Result<BarWindows> choose_windows(const std::vector<GuestBar>& bars, const AddressLimits& limits) {
  const BarWindows windows{.low = choose(low_windows(limits.ram), those_of(bars, false)),
                           .high = choose(high_windows(limits), those_of(bars, true))};
  std::vector<GuestBar> left = bars_without_place(bars, windows);
  std::erase_if(left, [](const GuestBar& bar) { return bar.index == kRomBar; });
  if (left.empty()) return windows;
  const bool is_64bit = left.front().is_64bit;
  return tl::unexpected(no_place(is_64bit, bars, is_64bit ? windows.high : windows.low, limits));
}

}  // namespace passthru
