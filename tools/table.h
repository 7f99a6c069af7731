// SPDX-License-Identifier: MIT
// Owns how a listing is laid out for a person: columns as wide as what is in them. Used by
// subcommands.
#pragma once

#include <string>
#include <vector>

namespace passthru::tools {

/// Rows of text under headings, two spaces between columns.
class Table {
 public:
  struct Column {
    std::string heading{};
    bool right = false;  ///< numbers are easier to compare when their last digits are in line
    size_t widest = 0;   ///< characters; what is longer is cut, with "..". 0: no limit
  };
  explicit Table(std::vector<Column> columns) : columns_(std::move(columns)) {}

  /// One cell a column.
  void add(std::vector<std::string> cells);
  [[nodiscard]] std::string str() const;

 private:
  std::vector<Column> columns_;
  std::vector<std::vector<std::string>> rows_;
};

}  // namespace passthru::tools
