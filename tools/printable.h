// SPDX-License-Identifier: MIT
// Text for display and for searches: columns, lines that fit, parts in any case. Pure.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "base/printable.h"

namespace passthru::tools {

/// Returns the maximum width of `text` in columns of a terminal; `text` is printable.
size_t columns_of(std::string_view text);

/// Returns whether `text` contains `part`, in capitals or not.
bool contains_text(std::string_view text, std::string_view part);

/// Wraps `text`, which is printable, into lines of at most `columns` (8 or more), if possible
/// between words. All lines but the first begin with `indent` spaces, at most half a line.
std::vector<std::string> wrapped(std::string_view text, size_t columns, size_t indent = 0);

}  // namespace passthru::tools
