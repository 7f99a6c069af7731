// SPDX-License-Identifier: MIT
// Column widths in characters, as fmt counts them: names have letters beyond ASCII.
#include "tools/table.h"

#include <fmt/format.h>

#include <algorithm>

namespace passthru::tools {
namespace {

// Counts the bytes that start a UTF-8 character.
size_t characters(const std::string& text) {
  return static_cast<size_t>(
      std::count_if(text.begin(), text.end(), [](char c) { return (c & 0xc0) != 0x80; }));
}

}  // namespace

void Table::add(std::vector<std::string> cells) {
  for (size_t i = 0; i < cells.size(); ++i) {
    const size_t widest = columns_[i].widest;
    if (widest != 0 && characters(cells[i]) > widest)
      cells[i] = fmt::format("{:.{}}..", cells[i], widest - 2);
  }
  rows_.push_back(std::move(cells));
}

std::string Table::str() const {
  std::vector<std::string> headings;
  for (const Column& column : columns_) headings.push_back(column.heading);

  std::vector<size_t> widths(columns_.size());
  const auto widen = [&widths](const std::vector<std::string>& row) {
    for (size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], characters(row[i]));
  };
  widen(headings);
  std::for_each(rows_.begin(), rows_.end(), widen);

  std::string text;
  const auto print = [&](const std::vector<std::string>& row) {
    std::string line;
    for (size_t i = 0; i < row.size(); ++i) {
      if (i != 0) line += "  ";
      line += columns_[i].right ? fmt::format("{:>{}}", row[i], widths[i])
                                : fmt::format("{:<{}}", row[i], widths[i]);
    }
    line.erase(line.find_last_not_of(' ') + 1);
    text += line + "\n";
  };
  print(headings);
  std::for_each(rows_.begin(), rows_.end(), print);
  return text;
}

}  // namespace passthru::tools
