// SPDX-License-Identifier: MIT
// Untrusted text for display: names of files, processes and devices without control sequences.
// Pure.
#pragma once

#include <string>
#include <string_view>

namespace passthru {

/// Returns `text` for a terminal or XML. A '?' replaces control characters, invisible characters,
/// characters that change the text direction, and bytes that are not UTF-8.
std::string printable(std::string_view text);

/// Returns the same, but keeps newlines: for output that has whole lines.
std::string printable_lines(std::string_view text);

}  // namespace passthru
