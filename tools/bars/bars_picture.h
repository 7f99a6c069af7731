// SPDX-License-Identifier: MIT
// The layout of a picture of BARs: rows of pieces with their widths, and rows of spans with their
// heat. Values in, values out; bars_text and bars_svg draw it, bars_json lists it.
//
// The scale: every BAR is as wide as the picture. Its pieces are as wide as they are large, but at
// least a given width, at the expense of the others. So a page of 4 KiB in a BAR of 16 MiB remains
// visible.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "device/inspection.h"
#include "mmap/bar_info.h"
#include "pci/bdf.h"
#include "pci/msix_layout.h"

namespace passthru::tools {

/// The BARs to draw.
struct DeviceBars {
  Bdf device{};
  std::string name{};
  bool plan = false;                   ///< no guest has it: no decode and no counts
  std::optional<Bdf> guest_address{};  ///< of the device in its guest
  std::vector<std::string> notes{};    ///< sentences, for people
  std::vector<BarInspection> bars{};   ///< without spans if they are unknown
  std::array<std::optional<uint64_t>, kBars> host_addresses{};
  std::optional<MsixLayout> msix{};  ///< the device's own table; none, or not known
};

/// What a piece of a BAR is.
enum class Part {
  Mapped,
  Trapped,
  Table,  ///< trapped, of the MSI-X table
  Pba,    ///< of the pending bits; trapped, unless the guest has others elsewhere
  Unknown,
};

inline constexpr unsigned kHottest = 4;

/// A span, or the part of a span with the MSI-X table or the pending bits.
struct Piece {
  uint64_t offset = 0;
  uint64_t size = 0;
  Part part = Part::Unknown;
  bool mapped = false;  ///< its span is
  bool begins_span = false;
  unsigned heat = 0;   ///< of its span
  unsigned first = 0;  ///< cell that it begins in
  unsigned cells = 0;  ///< 0: there are more pieces than cells
};

struct SpanRow {
  SpanInspection span{};
  Part part = Part::Unknown;  ///< Table or Pba: it is trapped for that
  unsigned heat = 0;          ///< 0: no accesses; `kHottest`: at least half of the hottest span's
};

struct BarRow {
  std::string heading{};  ///< "BAR 0: memory, 64-bit, prefetchable, 16 MiB"
  std::string where{};    ///< "host 0xfe000000, guest not decoded"
  std::string msix{};     ///< where in it the table and the pending bits are; empty: not here
  uint64_t size = 0;
  std::vector<SpanRow> spans{};
  std::vector<Piece> pieces{};
  size_t undrawn = 0;  ///< pieces for which there is no cell
};

struct BarsPicture {
  std::string title{};               ///< "0000:01:00.0  name"
  std::vector<std::string> notes{};  ///< the device's; all texts are fit to print
  bool counted = false;              ///< a guest's: accesses and heat are known
  std::vector<BarRow> bars{};
};

/// The width of a BAR, and the least width of a piece, in the unit of the drawing.
struct Scale {
  unsigned cells = 0;
  unsigned least = 1;
};

/// Draws BARs. Thread-safe, like all functions here. Trusts no value of `device`: the VMM of
/// another user may have sent it.
BarsPicture draw_bars(const DeviceBars& device, Scale scale);

/// Returns widths for pieces side by side, with a sum of `scale.cells`. If there is no room for
/// `scale.least` each, the pieces are as wide as possible. If there are more pieces than cells, the
/// largest pieces get one cell each, and the others none.
std::vector<unsigned> share_out(std::span<const uint64_t> sizes, Scale scale);

/// Returns 4 for at least half of the hottest, 3 for a tenth, 2 for a hundredth, 1 for any, 0 for
/// none.
unsigned heat(uint64_t accesses, uint64_t hottest);

}  // namespace passthru::tools
