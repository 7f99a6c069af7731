// SPDX-License-Identifier: MIT
// Column widths in columns of a terminal: names have letters beyond ASCII.
#include "tools/table.h"

#include <algorithm>

#include "tools/printable.h"

namespace passthru::tools {
namespace {

constexpr size_t kBetween = 2;  // spaces between columns

// The width of a line; a column of width 0 is not in it.
size_t line_width(const std::vector<size_t>& widths) {
  size_t sum = 0;
  for (const size_t width : widths) sum += width == 0 ? 0 : width + kBetween;
  return sum == 0 ? 0 : sum - kBetween;
}

}  // namespace

std::vector<size_t> Table::natural_widths() const {
  std::vector<size_t> widths;
  for (const Column& column : columns_)
    widths.push_back(std::max(columns_of(column.heading), column.width));
  for (const auto& row : rows_) {
    for (size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], columns_of(row[i]));
  }
  return widths;
}

// First loses columns until the others fit when they are cut as far as possible. Then cuts the
// widest column, a character at a time, only as far as needed.
std::vector<size_t> Table::fitting_widths(std::optional<size_t> width) const {
  std::vector<size_t> widths = natural_widths();
  if (!width) return widths;
  std::vector<size_t> narrowest = widths;
  for (size_t i = 0; i < columns_.size(); ++i) {
    const size_t least = std::max(columns_[i].least, columns_of(columns_[i].heading));
    if (columns_[i].least != 0) narrowest[i] = std::min(widths[i], least);
  }
  while (line_width(narrowest) > *width) {
    size_t lost = columns_.size();
    for (size_t i = 0; i < columns_.size(); ++i) {
      const bool may_go = narrowest[i] != 0 && columns_[i].rank != 0;
      if (may_go && (lost == columns_.size() || columns_[i].rank > columns_[lost].rank)) lost = i;
    }
    if (lost == columns_.size()) break;
    narrowest[lost] = 0;
    widths[lost] = 0;
  }
  while (line_width(widths) > *width) {
    size_t widest = columns_.size();
    for (size_t i = 0; i < columns_.size(); ++i) {
      const bool may_shrink = widths[i] > narrowest[i];
      if (may_shrink && (widest == columns_.size() || widths[i] > widths[widest])) widest = i;
    }
    if (widest == columns_.size()) break;
    --widths[widest];
  }
  return widths;
}

std::string Table::str(std::optional<size_t> width) const {
  std::vector<std::string> headings;
  for (const Column& column : columns_) headings.push_back(column.heading);
  const std::vector<size_t> widths = fitting_widths(width);

  std::string text;
  const auto print = [&](const std::vector<std::string>& row) {
    std::string line;
    for (size_t i = 0; i < row.size(); ++i) {
      if (widths[i] == 0) continue;
      if (!line.empty()) line += std::string(kBetween, ' ');
      const std::string cell = cut_to(row[i], widths[i]);
      const std::string room(widths[i] - columns_of(cell), ' ');
      line += columns_[i].right ? room + cell : cell + room;
    }
    line.erase(line.find_last_not_of(' ') + 1);
    text += line + "\n";
  };
  print(headings);
  std::for_each(rows_.begin(), rows_.end(), print);
  return text;
}

}  // namespace passthru::tools
