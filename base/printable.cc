// SPDX-License-Identifier: MIT
#include "base/printable.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>

namespace passthru {
namespace {

bool is_shown(uint32_t code) {
  const bool control = code < 0x20 || (code >= 0x7f && code < 0xa0);
  const bool surrogate = code >= 0xd800 && code <= 0xdfff;
  const bool directs = code == 0x61c || (code >= 0x200b && code <= 0x200f) ||
                       (code >= 0x2028 && code <= 0x202e) || (code >= 0x2060 && code <= 0x206f);
  const bool no_character = (code & 0xfffe) == 0xfffe || code == 0xfeff || code > 0x10ffff;
  return !control && !surrogate && !directs && !no_character;
}

/// Returns the length of the UTF-8 character at the start of `text`, or 0 if it cannot be shown.
size_t shown_character(std::string_view text) {
  const auto byte = [&](size_t i) { return static_cast<unsigned char>(text[i]); };
  if (byte(0) < 0x80) return is_shown(byte(0)) ? 1 : 0;
  const size_t length = byte(0) >= 0xf0 ? 4 : byte(0) >= 0xe0 ? 3 : 2;
  if (byte(0) < 0xc2 || byte(0) > 0xf4 || text.size() < length) return 0;
  uint32_t code = byte(0) & (0x7fU >> length);
  for (size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xc0) != 0x80) return 0;
    code = code << 6 | (byte(i) & 0x3fU);
  }
  constexpr std::array<uint32_t, 5> kMinCode = {0, 0, 0x80, 0x800, 0x10000};
  return code >= kMinCode[length] && is_shown(code) ? length : 0;
}

std::string without_controls(std::string_view text, char kept) {
  std::string result;
  while (!text.empty()) {
    const size_t length = text.front() == kept ? 1 : shown_character(text);
    if (length != 0) {
      result += text.substr(0, length);
    } else {
      result += '?';
    }
    text.remove_prefix(std::max<size_t>(length, 1));
  }
  return result;
}

}  // namespace

std::string printable(std::string_view text) {
  return without_controls(text, ' ');
}

std::string printable_lines(std::string_view text) {
  return without_controls(text, '\n');
}

}  // namespace passthru
