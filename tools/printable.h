// SPDX-License-Identifier: MIT
// Text for display and for searches: columns, lines that fit, parts in any case. Pure.
#pragma once

#include <cstddef>
#include <optional>
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

/// Wraps each line of `text` into lines of at most `columns`, or leaves it as it is without a
/// limit. Continuation lines are indented by `hang` spaces more than the line that they continue.
std::string wrapped_lines(std::string_view text, std::optional<size_t> columns, size_t hang);

/// Returns `text`, or its beginning and ".." if it is wider than `columns`.
std::string cut_to(std::string_view text, size_t columns);

}  // namespace passthru::tools
