// SPDX-License-Identifier: MIT
// Owns how text that others wrote is shown: without what would steer a terminal, and in lines that
// fit. Pure.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace passthru::tools {

/// What can be shown as it is, in a terminal and in XML: control characters, those that nobody sees
/// or that turn the direction of what follows, and what is no UTF-8 are replaced by '?'.
std::string printable(std::string_view text);

/// How wide it is at most, in columns of a terminal; `text` is printable.
size_t columns_of(std::string_view text);

/// Lines of at most `columns` (8 or more), broken between words where possible; all but the first
/// begin with `indent` spaces, but never with more than half a line of them. `text` is printable.
std::vector<std::string> wrapped(std::string_view text, size_t columns, size_t indent = 0);

}  // namespace passthru::tools
