// SPDX-License-Identifier: MIT
// The suggestion for a mistyped word. Pure.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace passthru::tools {

/// Returns the candidate that `word` was probably meant to be: at most two letters are wrong,
/// missing, added or swapped with their neighbour, and fewer than half of them. Empty if there is
/// no such candidate. Of several equally near candidates, returns the first.
std::string nearest(std::string_view word, const std::vector<std::string>& candidates);

/// Returns " Did you mean 'CANDIDATE'?", or an empty text without a candidate.
std::string did_you_mean(std::string_view word, const std::vector<std::string>& candidates);

}  // namespace passthru::tools
