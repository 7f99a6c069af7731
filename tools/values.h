// SPDX-License-Identifier: MIT
// The values of options: numbers, sizes and choices, read strictly, and refused with what is
// allowed.
#pragma once

#include <CLI/CLI.hpp>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace passthru::tools {

/// Returns a number of decimal digits only, without a sign, an exponent or a base. Nothing for any
/// other text, and above 64 bits.
std::optional<uint64_t> read_number(std::string_view text);

/// Returns a number as above, with digits after a point if it has one: "0.5".
std::optional<double> read_decimal(std::string_view text);

/// Returns bytes: a number as above, with K, M, G or T for a power of 1024. "KiB" and "KB" are the
/// same as "K"; small letters too.
std::optional<uint64_t> read_size(std::string_view text);

/// Returns "a, b or c".
std::string joined_choices(const std::vector<std::string>& choices);

// Each returns a check for `transform` of an option. An option then holds a value that CLI11 reads
// as it was written: CLI11 alone takes "010" as octal, and "-1" as a large number. They add nothing
// to the option's type in `--help` and the manual.

/// Accepts whole numbers from `least` to `most`, and the word `also` if it is not empty.
CLI::Validator number_from(uint64_t least, uint64_t most, const std::string& also = {});
/// Accepts numbers from `least` to `most`, with a point or without.
CLI::Validator decimal_from(double least, double most);
/// Accepts sizes of memory.
CLI::Validator any_size();
/// Accepts these words only.
CLI::Validator one_of(const std::vector<std::string>& choices);

}  // namespace passthru::tools
