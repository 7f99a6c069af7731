// SPDX-License-Identifier: MIT
// Listings for people: columns as wide as their contents, or as a terminal allows. Used by
// subcommands.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

namespace passthru::tools {

/// Rows of text under headings, two spaces between columns.
class Table {
 public:
  struct Column {
    std::string heading{};
    bool right = false;  ///< right-aligned, so that digits of numbers are in line
    size_t least = 0;    ///< in columns: on a narrow terminal, cells are cut to it; 0: never
    unsigned rank = 0;   ///< a narrow terminal first loses the column with the highest; 0: never
    size_t width = 0;    ///< at least so wide, so that the columns of a live view do not move
  };
  explicit Table(std::vector<Column> columns) : columns_(std::move(columns)) {}

  /// Adds a row with a cell per column.
  void add(std::vector<std::string> cells) { rows_.push_back(std::move(cells)); }
  /// Returns the lines: the headings, then a line for each row. With `width`, they have at most so
  /// many columns of a terminal, if columns that may be cut or lost suffice for it. A cut cell ends
  /// with "..".
  [[nodiscard]] std::string str(std::optional<size_t> width = {}) const;

 private:
  [[nodiscard]] std::vector<size_t> natural_widths() const;
  [[nodiscard]] std::vector<size_t> fitting_widths(std::optional<size_t> width) const;

  std::vector<Column> columns_;
  std::vector<std::vector<std::string>> rows_;
};

}  // namespace passthru::tools
