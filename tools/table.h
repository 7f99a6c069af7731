// SPDX-License-Identifier: MIT
// Listings for people: columns as wide as their contents. Used by subcommands.
#pragma once

#include <string>
#include <vector>

namespace passthru::tools {

/// Rows of text under headings, two spaces between columns.
class Table {
 public:
  struct Column {
    std::string heading{};
    bool right = false;  ///< right-aligned, so that digits of numbers are in line
    size_t widest = 0;   ///< in characters; longer cells are cut, with ".."; 0: no limit
  };
  explicit Table(std::vector<Column> columns) : columns_(std::move(columns)) {}

  /// Adds a row with a cell per column.
  void add(std::vector<std::string> cells);
  [[nodiscard]] std::string str() const;

 private:
  std::vector<Column> columns_;
  std::vector<std::vector<std::string>> rows_;
};

}  // namespace passthru::tools
