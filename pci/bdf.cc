// SPDX-License-Identifier: MIT
#include "pci/bdf.h"

#include <fmt/format.h>

#include <charconv>
#include <cstdint>

namespace passthru {
namespace {

// Reads exactly `digits` hexadecimal digits, of a value up to `max`.
bool read_field(std::string_view& text, size_t digits, unsigned max, unsigned& value) {
  if (text.size() < digits) return false;
  const char* end = text.data() + digits;
  auto [stop, error] = std::from_chars(text.data(), end, value, 16);
  if (error != std::errc{} || stop != end || value > max) return false;
  text.remove_prefix(digits);
  return true;
}

// Reads a segment: four digits, or up to eight if the first is not 0.
bool read_segment(std::string_view& text, unsigned& value) {
  const size_t digits = text.find(':');
  if (digits == std::string_view::npos || digits < 4 || digits > 8) return false;
  if (digits > 4 && text.front() == '0') return false;
  return read_field(text, digits, UINT32_MAX, value);
}

bool read_char(std::string_view& text, char expected) {
  if (text.empty() || text.front() != expected) return false;
  text.remove_prefix(1);
  return true;
}

}  // namespace

Result<Bdf> Bdf::parse(std::string_view text) {
  std::string_view rest = text;
  unsigned segment = 0;
  unsigned bus = 0;
  unsigned device = 0;
  unsigned function = 0;
  const bool has_segment = text.size() >= 12;
  const bool ok = (!has_segment || (read_segment(rest, segment) && read_char(rest, ':'))) &&
                  read_field(rest, 2, 0xff, bus) && read_char(rest, ':') &&
                  read_field(rest, 2, 31, device) && read_char(rest, '.') &&
                  read_field(rest, 1, 7, function) && rest.empty();
  if (!ok) {
    return tl::unexpected(Error{.code = EINVAL,
                                .operation = fmt::format("read the PCI address '{}'", text),
                                .cause = "expected SSSS:BB:DD.F or BB:DD.F in hexadecimal, like "
                                         "0000:00:02.0 or 00:02.0",
                                .advice = "'passthru list' shows the devices of this machine"});
  }
  return Bdf{segment, static_cast<uint8_t>(bus), static_cast<uint8_t>(device),
             static_cast<uint8_t>(function)};
}

std::string Bdf::str() const {
  return fmt::format("{:04x}:{:02x}:{:02x}.{:x}", segment, bus, device, function);
}

}  // namespace passthru
