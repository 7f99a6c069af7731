// SPDX-License-Identifier: MIT
#include "tools/values.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <charconv>
#include <limits>

#include "tools/printable.h"

namespace passthru::tools {
namespace {

// Returns 0 for an unknown unit.
uint64_t bytes_of_unit(std::string_view unit) {
  constexpr std::string_view kUnits = "kmgt";
  std::string small(unit);
  for (char& c : small) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  if (small.empty()) return 1;
  const size_t power = kUnits.find(small.front());
  const std::string rest = small.substr(1);
  if (power == std::string_view::npos || !(rest.empty() || rest == "b" || rest == "ib")) return 0;
  constexpr size_t kBits = 10;
  return uint64_t{1} << (kBits * (power + 1));
}

}  // namespace

std::optional<uint64_t> read_number(std::string_view text) {
  uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, 10);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

std::optional<double> read_decimal(std::string_view text) {
  constexpr size_t kMaxDigits = 9;
  const size_t point = text.find('.');
  const auto whole = read_number(text.substr(0, point));
  if (!whole) return std::nullopt;
  if (point == std::string_view::npos) return static_cast<double>(*whole);
  const std::string_view digits = text.substr(point + 1);
  const auto part = read_number(digits);
  if (!part || digits.size() > kMaxDigits) return std::nullopt;
  double scale = 1;
  for (size_t i = 0; i < digits.size(); ++i) scale *= 10;
  return static_cast<double>(*whole) + static_cast<double>(*part) / scale;
}

std::optional<uint64_t> read_size(std::string_view text) {
  const size_t digits = std::min(text.find_first_not_of("0123456789"), text.size());
  const auto number = read_number(text.substr(0, digits));
  const uint64_t unit = bytes_of_unit(text.substr(digits));
  if (!number || unit == 0 || *number > std::numeric_limits<uint64_t>::max() / unit)
    return std::nullopt;
  return *number * unit;
}

std::string joined_choices(const std::vector<std::string>& choices) {
  std::string text;
  for (size_t i = 0; i < choices.size(); ++i) {
    if (i != 0) text += i + 1 == choices.size() ? " or " : ", ";
    text += choices[i];
  }
  return text;
}

CLI::Validator number_from(uint64_t least, uint64_t most, const std::string& also) {
  return {[=](std::string& word) -> std::string {
            if (!also.empty() && word == also) return {};
            const auto value = read_number(word);
            if (!value || *value < least || *value > most) {
              return fmt::format("'{}' is not a number from {} to {}{}{}", printable(word), least,
                                 most, also.empty() ? "" : ", or ", also);
            }
            word = std::to_string(*value);
            return {};
          },
          ""};
}

CLI::Validator decimal_from(double least, double most) {
  return {[=](std::string& word) -> std::string {
            const auto value = read_decimal(word);
            if (value && *value >= least && *value <= most) return {};
            return fmt::format("'{}' is not a number from {} to {}", printable(word), least, most);
          },
          ""};
}

CLI::Validator any_size() {
  return {[](std::string& word) -> std::string {
            const auto bytes = read_size(word);
            if (!bytes) {
              return fmt::format("'{}' is not a size, such as 512M or 2G (K, M, G, T)",
                                 printable(word));
            }
            word = std::to_string(*bytes);
            return {};
          },
          ""};
}

CLI::Validator one_of(const std::vector<std::string>& choices) {
  return {[choices](std::string& word) -> std::string {
            if (std::find(choices.begin(), choices.end(), word) != choices.end()) return {};
            return fmt::format("'{}' is not {}", printable(word), joined_choices(choices));
          },
          ""};
}

}  // namespace passthru::tools
