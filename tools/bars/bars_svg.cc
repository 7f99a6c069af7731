// SPDX-License-Identifier: MIT
// The picture as SVG. Mapped spans are blue, trapped spans amber to red by heat; red-green colour
// blindness does not confuse these. Hatches lie over the colours.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <iterator>
#include <string>
#include <utility>
#include <vector>

#include "base/size_text.h"
#include "tools/bars/bars_output.h"
#include "tools/printable.h"

namespace passthru::tools {
namespace {

constexpr unsigned kWidth = 1000;
constexpr unsigned kMargin = 28;
constexpr unsigned kBarWidth = kWidth - 2 * kMargin;
constexpr unsigned kBarHeight = 44;
constexpr unsigned kLine = 19;  // from one line of text to the next
constexpr unsigned kLeastPixels = 14;
constexpr unsigned kRight = kWidth - kMargin;

constexpr const char* kMapped = "#9cc3e6";
constexpr const char* kUnknown = "#dcdcdc";
constexpr std::array kColourByHeat = {"#f6e3b4", "#fbcb6b", "#f7a145", "#e8692c", "#c22f1e"};

// Columns of the list of spans; numbers end at their column.
constexpr unsigned kSwatch = kMargin, kOffset = 56, kSize = 260, kAccess = 280, kReads = 420,
                   kWrites = 500, kHeat = 516, kWhy = 580, kWhyOfPlan = 360;

constexpr const char* kStyle =
    "text{font-family:'DejaVu Sans',Verdana,Helvetica,Arial,sans-serif;font-size:12px;"
    "fill:#24292f}"
    ".mono{font-family:'DejaVu Sans Mono',Menlo,Consolas,monospace}"
    ".title{font-size:18px;font-weight:bold}.bar{font-size:14px;font-weight:bold}"
    ".quiet{fill:#59636e}.end{text-anchor:end}.middle{text-anchor:middle}";

constexpr const char* kPatterns =
    "<pattern id=\"table\" width=\"7\" height=\"7\" patternUnits=\"userSpaceOnUse\" "
    "patternTransform=\"rotate(45)\"><rect width=\"2.5\" height=\"7\" fill=\"#24292f\" "
    "fill-opacity=\"0.62\"/></pattern>\n"
    "<pattern id=\"pba\" width=\"6\" height=\"6\" patternUnits=\"userSpaceOnUse\">"
    "<circle cx=\"3\" cy=\"3\" r=\"1.6\" fill=\"#24292f\" fill-opacity=\"0.7\"/></pattern>\n";

std::string escaped_for_xml(const std::string& text) {
  std::string result;
  for (const char c : printable(text)) {
    switch (c) {
      case '&':
        result += "&amp;";
        break;
      case '<':
        result += "&lt;";
        break;
      case '>':
        result += "&gt;";
        break;
      case '"':
        result += "&quot;";
        break;
      default:
        result += c;
    }
  }
  return result;
}

const char* fill(const Piece& piece) {
  if (piece.part == Part::Unknown) return kUnknown;
  if (piece.mapped) return kMapped;
  return kColourByHeat[std::min<size_t>(piece.heat, kColourByHeat.size() - 1)];
}

const char* hatch(Part part) {
  if (part == Part::Table) return "table";
  return part == Part::Pba ? "pba" : nullptr;
}

const char* to_string(Part part) {
  switch (part) {
    case Part::Mapped:
      return "mapped";
    case Part::Trapped:
      return "trapped";
    case Part::Table:
      return "MSI-X table";
    case Part::Pba:
      return "pending bits";
    case Part::Unknown:
      return "not known";
  }
  return "";
}

class SvgDrawing {
 public:
  explicit SvgDrawing(const BarsPicture& picture) : picture_(picture) {}

  std::string draw() {
    y_ = kMargin + 12;
    for (const std::string& line : wrapped(picture_.title, 76)) text(kMargin, "title", line, 24);
    for (const std::string& note : picture_.notes) paragraph(note);
    if (picture_.bars.empty()) paragraph("It has no BARs.");
    for (const BarRow& bar : picture_.bars) draw(bar);
    if (!picture_.bars.empty()) legend();
    const unsigned height = y_ + kMargin - 12;
    return fmt::format(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{0}\" height=\"{1}\" viewBox=\"0 0 {0} "
        "{1}\" role=\"img\">\n<title>{2}</title>\n<style>{3}</style>\n<defs>{4}</defs>\n"
        "<rect width=\"{0}\" height=\"{1}\" rx=\"8\" fill=\"#ffffff\"/>\n{5}</svg>\n",
        kWidth, height, escaped_for_xml(picture_.title), kStyle, kPatterns, body_);
  }

 private:
  /// Adds a line of text at x; the next line is `step` below.
  void text(unsigned x, const char* style, const std::string& what, unsigned step = 0) {
    fmt::format_to(std::back_inserter(body_), "<text x=\"{}\" y=\"{}\" class=\"{}\">{}</text>\n", x,
                   y_, style, escaped_for_xml(what));
    y_ += step;
  }
  void paragraph(const std::string& what) {
    for (const std::string& line : wrapped(what, 130)) text(kMargin, "quiet", line, kLine);
  }
  void rect(unsigned x, unsigned y, unsigned width, unsigned height, const char* colour,
            const std::string& more = "") {
    fmt::format_to(std::back_inserter(body_),
                   "<rect x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\" fill=\"{}\"{}", x, y, width,
                   height, colour, more.empty() ? std::string("/>\n") : ">" + more + "</rect>\n");
  }
  void hatched(unsigned x, unsigned y, unsigned width, unsigned height, Part part) {
    if (const char* pattern = hatch(part)) {
      fmt::format_to(std::back_inserter(body_),
                     "<rect x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\" fill=\"url(#{})\" "
                     "pointer-events=\"none\"/>\n",
                     x, y, width, height, pattern);
    }
  }

  void draw(const BarRow& bar) {
    y_ += 22;
    text(kRight, "mono quiet end", bar.where);
    text(kMargin, "bar", bar.heading, 11);
    for (const Piece& piece : bar.pieces) draw(piece);
    fmt::format_to(std::back_inserter(body_),
                   "<rect x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\" fill=\"none\" "
                   "stroke=\"#59636e\"/>\n",
                   kMargin, y_, kBarWidth, kBarHeight);
    y_ += kBarHeight + 15;
    offsets(bar);
    if (bar.undrawn != 0) {
      paragraph(fmt::format("{} of {} pieces do not fit into the picture", bar.undrawn,
                            bar.pieces.size()));
    }
    if (!bar.msix.empty()) paragraph(bar.msix);
    list(bar);
  }

  void draw(const Piece& piece) {
    if (piece.cells == 0) return;
    const unsigned x = kMargin + piece.first;

    const std::string tip = fmt::format("<title>{:#x}, {}: {}</title>", piece.offset,
                                        size_text(piece.size), to_string(piece.part));
    // A thin gap between pieces, if there is room for it.
    const unsigned gap = piece.cells > 3 && piece.first + piece.cells < kBarWidth ? 1 : 0;
    rect(x, y_, piece.cells - gap, kBarHeight, fill(piece), tip);
    hatched(x, y_, piece.cells - gap, kBarHeight, piece.part);
    const std::string label = to_string(piece.part);
    if (hatch(piece.part) != nullptr || piece.cells < 8 * label.size()) return;
    const bool dark = !piece.mapped && piece.heat >= kHottest - 1;
    fmt::format_to(std::back_inserter(body_),
                   "<text x=\"{}\" y=\"{}\" class=\"middle\"{}>{}</text>\n", x + piece.cells / 2,
                   y_ + kBarHeight / 2 + 4, dark ? " style=\"fill:#ffffff\"" : "", label);
  }

  /// Labels the end of the BAR and the begins of spans, trapped spans first. Leaves out labels that
  /// would touch another label.
  void offsets(const BarRow& bar) {
    constexpr unsigned kLetter = 8;
    const auto width_of = [](const std::string& label) {
      return static_cast<unsigned>(kLetter * (label.size() + 1));
    };
    const std::string end = fmt::format("{:#x}", bar.size);
    std::vector<std::pair<unsigned, unsigned>> taken = {{kRight - width_of(end), kWidth}};
    for (const bool mapped : {false, true}) {
      for (const Piece& piece : bar.pieces) {
        if (!piece.begins_span || piece.cells == 0 || piece.mapped != mapped) continue;
        const std::string label = fmt::format("{:#x}", piece.offset);
        const unsigned x = kMargin + piece.first;
        const unsigned until = x + width_of(label);
        if (std::any_of(taken.begin(), taken.end(), [&](const auto& other) {
              return x < other.second && other.first < until;
            })) {
          continue;
        }
        taken.emplace_back(x, until);
        text(x, "mono quiet", label);
      }
    }
    text(kRight, "mono quiet end", end, kLine + 4);
  }

  void list(const BarRow& bar) {
    if (picture_.counted && !bar.spans.empty()) {
      text(kReads, "quiet end", "reads");
      text(kWrites, "quiet end", "writes");
      text(kHeat, "quiet", "heat", kLine);
    }
    for (const SpanRow& row : bar.spans) list(row);
  }

  void list(const SpanRow& row) {
    const SpanInspection& span = row.span;
    rect(kSwatch, y_ - 11, 18, 13,
         fill({.part = row.part, .mapped = span.mapped(), .heat = row.heat}));
    hatched(kSwatch, y_ - 11, 18, 13, row.part);
    text(kOffset, "mono", fmt::format("{:#x}", span.offset));
    text(kSize, "mono end", size_text(span.size));
    text(kAccess, "", span.mapped() ? "mapped" : "trapped");
    if (picture_.counted && (!span.mapped() || row.heat != 0)) {
      text(kReads, "mono end", std::to_string(span.trapped_reads));
      text(kWrites, "mono end", std::to_string(span.trapped_writes));
      for (unsigned i = 0; i < row.heat; ++i) {
        rect(kHeat + 12 * i, y_ - 10, 10, 11, kColourByHeat[std::min<size_t>(row.heat, kHottest)]);
      }
    }
    const unsigned x = picture_.counted ? kWhy : kWhyOfPlan;
    const std::vector<std::string> lines =
        wrapped(trap_reason(span.kind, span.error), picture_.counted ? 56 : 90);
    for (size_t i = 0; i < lines.size(); ++i) {
      text(x, "quiet", lines[i], i + 1 < lines.size() ? kLine - 3 : kLine);
    }
  }

  void legend() {
    y_ += 26;
    unsigned x = kMargin;
    const auto entry = [&](const char* colour, Part part, const char* what, unsigned width) {
      rect(x, y_ - 11, 18, 13, colour);
      hatched(x, y_ - 11, 18, 13, part);
      text(x + 24, "", what);
      x += width;
    };
    entry(kMapped, Part::Mapped, "mapped: no exit", 156);
    entry(kColourByHeat[0], Part::Trapped, "trapped: an exit each access", 230);
    entry(kColourByHeat[0], Part::Table, "MSI-X table", 124);
    entry(kColourByHeat[0], Part::Pba, "pending bits", 124);
    if (std::any_of(picture_.bars.begin(), picture_.bars.end(),
                    [](const BarRow& bar) { return bar.spans.empty(); })) {
      entry(kUnknown, Part::Unknown, "not known", 0);
    }
    y_ += kLine + 3;
    if (picture_.counted) {
      for (size_t i = 0; i < kColourByHeat.size(); ++i) {
        rect(static_cast<unsigned>(kMargin + 18 * i), y_ - 11, 18, 13, kColourByHeat[i]);
      }
      text(kMargin + 98, "",
           "heat, by accesses of the hottest span: none, fewer, a hundredth, a tenth, half or "
           "more",
           kLine + 3);
    }
    paragraph("Each BAR is to scale, but pieces that would be too narrow to be seen are wider.");
  }

  const BarsPicture& picture_;
  std::string body_;
  unsigned y_ = 0;
};

}  // namespace

std::string bars_svg(const DeviceBars& device) {
  return SvgDrawing(draw_bars(device, {.cells = kBarWidth, .least = kLeastPixels})).draw();
}

}  // namespace passthru::tools
