// SPDX-License-Identifier: MIT
#include "prepare/binding_record.h"

#include <fmt/format.h>

#include <charconv>
#include <string_view>

#include "base/small_file.h"

namespace passthru {
namespace {

constexpr const char* kUnknownDriver = "?";

// Returns whether a driver's name stays within its directory when it becomes part of a path.
bool is_driver_name(std::string_view name) {
  return name != "." && name != ".." && name.find_first_of(std::string_view("/\0", 2)) == name.npos;
}

// Takes the line "KEY=VALUE" from the front of `text`.
std::optional<std::string> take_line(std::string_view& text, std::string_view key) {
  const size_t end = text.find('\n');
  if (end == text.npos || !text.starts_with(key)) return std::nullopt;
  std::string value(text.substr(key.size(), end - key.size()));
  text.remove_prefix(end + 1);
  if (!is_driver_name(value)) return std::nullopt;
  return value;
}

std::optional<uint16_t> id_in(std::string_view four_digits) {
  uint16_t id = 0;
  const char* const end = four_digits.data() + four_digits.size();
  const auto [stop, error] = std::from_chars(four_digits.data(), end, id, 16);
  return error == std::errc{} && stop == end ? std::optional(id) : std::nullopt;
}

std::optional<BindingRecord> parse_record(std::string_view text) {
  const auto ids = take_line(text, "device=");
  const auto vfio_driver = take_line(text, "vfio_driver=");
  auto driver = take_line(text, "driver=");
  auto driver_override = take_line(text, "override=");
  constexpr size_t kColon = 4, kIds = 9;  // "1b36:0010"
  if (!ids || !vfio_driver || !driver || !driver_override || !text.empty()) return std::nullopt;
  if (ids->size() != kIds || (*ids)[kColon] != ':' || vfio_driver->empty()) return std::nullopt;
  const auto vendor = id_in(ids->substr(0, kColon));
  const auto device = id_in(ids->substr(kColon + 1));
  if (!vendor || !device) return std::nullopt;
  BindingRecord record{.vendor = *vendor, .device = *device, .vfio_driver = *vfio_driver};
  if (*driver != kUnknownDriver) record.driver = std::move(*driver);
  record.driver_override = std::move(*driver_override);
  return record;
}

}  // namespace

bool BindingRecord::is_of(const PciFunction& function) const {
  return vendor == function.vendor && device == function.device;
}

bool BindingRecord::may_have_set_override_of(const PciFunction& function) const {
  return function.driver_override == vfio_driver || function.driver_override.empty();
}

std::string BindingRecord::text() const {
  return fmt::format("device={:04x}:{:04x}\nvfio_driver={}\ndriver={}\noverride={}\n", vendor,
                     device, vfio_driver, driver.value_or(kUnknownDriver), driver_override);
}

Result<std::optional<BindingRecord>> read_binding_record(const std::filesystem::path& file) {
  auto text = read_file(file);
  if (!text) {
    if (text.error().code == ENOENT) return std::optional<BindingRecord>();
    return tl::unexpected(std::move(text).error());
  }
  auto record = parse_record(*text);
  if (record) return record;
  return tl::unexpected(Error{.code = EINVAL,
                              .operation = "read " + file.string(),
                              .cause = "the file is not a record of the device's former driver",
                              .advice = "Remove the file; the kernel then chooses a driver"});
}

}  // namespace passthru
