// SPDX-License-Identifier: MIT
#include "tools/printable.h"

#include <algorithm>
#include <cctype>

namespace passthru::tools {
namespace {

/// Returns the columns of the character that starts with this byte. Assumes two from U+0800 on.
size_t columns_of(char byte) {
  const auto lead = static_cast<unsigned char>(byte);
  if ((lead & 0xc0) == 0x80) return 0;
  return lead >= 0xe0 ? 2 : 1;
}

/// Returns the length in bytes of the longest prefix of `text` that fits into `columns`.
size_t fitting(std::string_view text, size_t columns) {
  size_t width = 0;
  for (size_t i = 0; i < text.size(); ++i) {
    width += columns_of(text[i]);
    if (width > columns) return i;
  }
  return text.size();
}

}  // namespace

size_t columns_of(std::string_view text) {
  size_t columns = 0;
  for (const char byte : text) columns += columns_of(byte);
  return columns;
}

bool contains_text(std::string_view text, std::string_view part) {
  const auto same = [](char a, char b) {
    return std::tolower(static_cast<unsigned char>(a)) ==
           std::tolower(static_cast<unsigned char>(b));
  };
  return std::search(text.begin(), text.end(), part.begin(), part.end(), same) != text.end() ||
         part.empty();
}

std::vector<std::string> wrapped(std::string_view text, size_t columns, size_t indent) {
  columns = std::max<size_t>(columns, 8);
  const std::string margin(std::min(indent, columns / 2), ' ');
  std::vector<std::string> lines;
  do {
    std::string line = lines.empty() ? "" : margin;
    const size_t start = std::min(text.find_first_not_of(' '), text.size());
    if (!lines.empty()) text.remove_prefix(start);
    size_t fit = fitting(text, columns - line.size());
    if (fit < text.size()) {
      const size_t space = text.rfind(' ', fit);
      if (space != std::string_view::npos && space > text.find_first_not_of(' ')) fit = space;
    }
    line += text.substr(0, fit);
    text.remove_prefix(fit);
    line.erase(line.find_last_not_of(' ') + 1);
    lines.push_back(std::move(line));
  } while (text.find_first_not_of(' ') != std::string_view::npos);
  return lines;
}

std::string wrapped_lines(std::string_view text, std::optional<size_t> columns, size_t hang) {
  if (!columns) return std::string(text);
  std::string all;
  while (!text.empty()) {
    const std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(line.size() + 1, text.size()));
    const size_t margin = std::min(line.find_first_not_of(' '), line.size());
    for (const std::string& part : wrapped(line, *columns, margin + hang)) all += part + '\n';
  }
  return all;
}

std::string cut_to(std::string_view text, size_t columns) {
  constexpr std::string_view kMore = "..";
  if (columns_of(text) <= columns) return std::string(text);
  if (columns < kMore.size()) return std::string(text.substr(0, fitting(text, columns)));
  return std::string(text.substr(0, fitting(text, columns - kMore.size()))).append(kMore);
}

}  // namespace passthru::tools
