// SPDX-License-Identifier: MIT
#include "tools/devices/nearest.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>

namespace passthru::tools {
namespace {

bool is_same_letter(char one, char other) {
  const auto small = [](char c) { return std::tolower(static_cast<unsigned char>(c)); };
  return small(one) == small(other);
}

// Returns the number of letters to change, add, remove or swap with their neighbour ("optimal
// string alignment"). Keeps three rows of the table: of this letter of `a` and of the two before
// it.
size_t distance(std::string_view a, std::string_view b) {
  std::vector<size_t> two_ago;
  std::vector<size_t> last(b.size() + 1);
  for (size_t j = 0; j <= b.size(); ++j) last[j] = j;
  for (size_t i = 1; i <= a.size(); ++i) {
    std::vector<size_t> row(b.size() + 1, i);
    for (size_t j = 1; j <= b.size(); ++j) {
      const size_t change = is_same_letter(a[i - 1], b[j - 1]) ? 0 : 1;
      row[j] = std::min({last[j] + 1, row[j - 1] + 1, last[j - 1] + change});
      const bool swapped = i > 1 && j > 1 && is_same_letter(a[i - 1], b[j - 2]) &&
                           is_same_letter(a[i - 2], b[j - 1]);
      if (swapped) row[j] = std::min(row[j], two_ago[j - 2] + 1);
    }
    two_ago = std::move(last);
    last = std::move(row);
  }
  return last[b.size()];
}

}  // namespace

std::string nearest(std::string_view word, const std::vector<std::string>& candidates) {
  constexpr size_t kMaxWord = 64;  // no name is longer, and the table grows with the word
  constexpr size_t kMaxDistance = 2;
  if (word.size() > kMaxWord) return {};
  std::string best;
  size_t least = std::min(kMaxDistance + 1, (word.size() + 1) / 2);
  for (const std::string& candidate : candidates) {
    const size_t wrong = distance(word, candidate);
    if (wrong >= least) continue;
    least = wrong;
    best = candidate;
  }
  return best;
}

std::string did_you_mean(std::string_view word, const std::vector<std::string>& candidates) {
  const std::string meant = nearest(word, candidates);
  return meant.empty() ? meant : fmt::format(" Did you mean '{}'?", meant);
}

}  // namespace passthru::tools
