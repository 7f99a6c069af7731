// SPDX-License-Identifier: MIT
// Untrusted text for display: without control sequences, and in lines that fit. Pure.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace passthru::tools {

/// Returns `text` for a terminal or XML. A '?' replaces control characters, invisible characters,
/// characters that change the text direction, and bytes that are not UTF-8.
std::string printable(std::string_view text);

/// Returns the maximum width of `text` in columns of a terminal; `text` is printable.
size_t columns_of(std::string_view text);

/// Wraps `text`, which is printable, into lines of at most `columns` (8 or more), if possible
/// between words. All lines but the first begin with `indent` spaces, at most half a line.
std::vector<std::string> wrapped(std::string_view text, size_t columns, size_t indent = 0);

}  // namespace passthru::tools
