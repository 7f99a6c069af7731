// SPDX-License-Identifier: MIT
// The picture in characters.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <string>
#include <utility>
#include <vector>

#include "base/size_text.h"
#include "tools/bars/bars_output.h"
#include "tools/printable.h"

namespace passthru::tools {
namespace {

constexpr unsigned kNarrowest = 24;
constexpr unsigned kWidest = 100;         // of a BAR; more characters would show nothing new
constexpr unsigned kLeastCharacters = 2;  // minimum of a piece

char glyph(Part part) {
  switch (part) {
    case Part::Mapped:
      return '=';
    case Part::Trapped:
      return '#';
    case Part::Table:
      return 'T';
    case Part::Pba:
      return 'P';
    case Part::Unknown:
      return '?';
  }
  return '?';
}

/// Returns the parameters of Select Graphic Rendition.
const char* colour(Part part, bool mapped, unsigned heat) {
  if (mapped) return "36";
  if (part == Part::Unknown) return "2";
  constexpr std::array kSgrByHeat = {"33", "33", "1;33", "31", "1;31"};
  return kSgrByHeat[std::min<size_t>(heat, kSgrByHeat.size() - 1)];
}

class TextDrawing {
 public:
  TextDrawing(const TextStyle& style, const BarsPicture& picture)
      : style_(style), picture_(picture) {}

  std::string draw() {
    add(picture_.title, 2, "1");
    for (const std::string& note : picture_.notes) add(note, 2);
    if (picture_.bars.empty()) add("It has no BARs.", 2);
    for (const BarRow& bar : picture_.bars) {
      text_ += '\n';
      draw(bar);
    }
    if (!picture_.bars.empty()) legend();
    return std::move(text_);
  }

 private:
  [[nodiscard]] std::string painted(const std::string& text, const char* how) const {
    if (!style_.colour || how == nullptr || text.empty()) return text;
    return fmt::format("\x1b[{}m{}\x1b[0m", how, text);
  }

  void add(const std::string& line, size_t indent, const char* how = nullptr) {
    for (const std::string& part : wrapped(line, style_.columns, indent)) {
      text_ += painted(part, how) + '\n';
    }
  }

  void draw(const BarRow& bar) {
    add(bar.heading, 2, "1");
    add("  " + bar.where, 2);
    text_ += "  |";
    for (const Piece& piece : bar.pieces) {
      text_ += painted(std::string(piece.cells, glyph(piece.part)),
                       colour(piece.part, piece.mapped, piece.heat));
    }
    text_ += "|\n";
    offsets(bar);
    if (bar.undrawn != 0) {
      add(fmt::format("  {} of {} pieces do not fit into the picture", bar.undrawn,
                      bar.pieces.size()),
          2);
    }
    if (!bar.msix.empty()) add("  " + bar.msix, 2);
    list(bar);
  }

  /// Adds the BAR's size at the right, and each span's offset below its first cell, trapped spans
  /// first. Leaves out offsets that would touch another label.
  void offsets(const BarRow& bar) {
    std::string line(style_.columns, ' ');
    const size_t right = std::min<size_t>(style_.columns, kWidest);
    const auto put = [&](size_t at, const std::string& label) {
      const std::string around = line.substr(at - 1, label.size() + 2);
      if (around.find_first_not_of(' ') == std::string::npos) {
        line.replace(at, label.size(), label);
      }
    };
    const std::string end = fmt::format("{:#x}", bar.size);
    put(right - end.size(), end);
    for (const bool mapped : {false, true}) {
      for (const Piece& piece : bar.pieces) {
        if (piece.begins_span && piece.cells != 0 && piece.mapped == mapped) {
          put(piece.first + 3, fmt::format("{:#x}", piece.offset));
        }
      }
    }
    line.erase(line.find_last_not_of(' ') + 1);
    text_ += line + '\n';
  }

  /// Adds the list of spans, in columns as wide as their contents. The last column says why a span
  /// is trapped, and may continue on the next lines.
  void list(const BarRow& bar) {
    std::vector<std::vector<std::string>> rows = {{"", "OFFSET", "SIZE", "ACCESS"}};
    if (picture_.counted) rows[0].insert(rows[0].end(), {"READS", "WRITES", "HEAT"});
    for (const SpanRow& row : bar.spans) rows.push_back(cells(row));
    if (bar.spans.empty()) {
      rows.push_back({"?", "0x0", size_text(bar.size), "not known"});
      if (picture_.counted) rows.back().insert(rows.back().end(), {"-", "-", ""});
    }
    std::vector<size_t> widths(rows[0].size());
    for (const auto& row : rows) {
      for (size_t i = 0; i < widths.size(); ++i) widths[i] = std::max(widths[i], row[i].size());
    }
    for (size_t r = 0; r < rows.size(); ++r) {
      std::string line = "  ";
      for (size_t i = 0; i < widths.size(); ++i) {
        const bool right = i == 2 || i == 4 || i == 5;
        line += right ? fmt::format("{:>{}}  ", rows[r][i], widths[i])
                      : fmt::format("{:<{}}  ", rows[r][i], widths[i]);
      }
      const size_t indent = line.size();
      const SpanRow* const row = r != 0 && !bar.spans.empty() ? &bar.spans[r - 1] : nullptr;
      if (r == 0) line += "WHY";
      if (row != nullptr) line += trap_reason(row->span.kind, row->span.error);
      add(line, indent, row != nullptr ? colour(row->part, row->span.mapped(), row->heat) : "2");
    }
  }

  [[nodiscard]] std::vector<std::string> cells(const SpanRow& row) const {
    const SpanInspection& span = row.span;
    std::vector<std::string> cells = {std::string(1, glyph(row.part)),
                                      fmt::format("{:#x}", span.offset), size_text(span.size),
                                      span.mapped() ? "mapped" : "trapped"};
    if (!picture_.counted) return cells;
    const bool none = span.mapped() && row.heat == 0;
    cells.push_back(none ? "-" : std::to_string(span.trapped_reads));
    cells.push_back(none ? "-" : std::to_string(span.trapped_writes));
    cells.emplace_back(row.heat, '*');
    return cells;
  }

  /// Explains the characters that are in the picture.
  void legend() {
    constexpr std::array<std::pair<Part, const char*>, 5> kParts = {
        {{Part::Mapped, "mapped, no exit"},
         {Part::Trapped, "trapped, an exit each access"},
         {Part::Table, "MSI-X table"},
         {Part::Pba, "pending bits"},
         {Part::Unknown, "not known"}}};
    std::string line;
    for (const auto& entry : kParts) {
      const Part part = entry.first;
      const bool there =
          std::any_of(picture_.bars.begin(), picture_.bars.end(), [part](const BarRow& bar) {
            return std::any_of(bar.pieces.begin(), bar.pieces.end(),
                               [part](const Piece& piece) { return piece.part == part; });
          });
      if (!there) continue;
      line += fmt::format("{}{} {}", line.empty() ? "" : "   ", glyph(part), entry.second);
    }
    text_ += '\n';
    add(line, 2, "2");
    add(fmt::format(
            "Each BAR is to scale, except pieces that would be narrower than {} characters.",
            kLeastCharacters),
        2, "2");
    if (picture_.counted) {
      add("HEAT, relative to the hottest span: **** half its accesses or more, *** a tenth, "
          "** a hundredth, * any.",
          2, "2");
    }
  }

  const TextStyle& style_;
  const BarsPicture& picture_;
  std::string text_;
};

}  // namespace

std::string bars_text(const DeviceBars& device, const TextStyle& style) {
  const TextStyle wide_enough{.columns = std::max(style.columns, kNarrowest),
                              .colour = style.colour};
  const unsigned cells = std::min(wide_enough.columns, kWidest) - 4;
  return TextDrawing(wide_enough, draw_bars(device, {.cells = cells, .least = kLeastCharacters}))
      .draw();
}

}  // namespace passthru::tools
