// SPDX-License-Identifier: MIT
// The form of an id is in vfio_pci_fill_ids (drivers/vfio/pci/vfio_pci.c), and the form of the line
// for `remove_id` in remove_id_store (drivers/pci/pci-driver.c).
#include "prepare/taken_back.h"

#include <fmt/format.h>

#include <charconv>
#include <optional>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

#include "base/printable.h"
#include "base/small_file.h"
#include "prepare/in_use.h"
#include "prepare/kernel_modules.h"

namespace passthru {
namespace {

namespace fs = std::filesystem;

constexpr uint32_t kAnyId = UINT32_MAX;

struct VfioId {
  uint32_t vendor = 0;
  uint32_t device = kAnyId;
  uint32_t subsystem_vendor = kAnyId;
  uint32_t subsystem_device = kAnyId;
  uint32_t class_code = 0;
  uint32_t class_mask = 0;

  [[nodiscard]] bool matches(const PciFunction& function) const {
    const auto equal = [](uint32_t id, uint32_t of_device) {
      return id == kAnyId || id == of_device;
    };
    return equal(vendor, function.vendor) && equal(device, function.device) &&
           equal(subsystem_vendor, function.subsystem_vendor) &&
           equal(subsystem_device, function.subsystem_device) &&
           ((class_code ^ function.class_code) & class_mask) == 0;
  }
};

// Reads "VENDOR:DEVICE[:SUBVENDOR[:SUBDEVICE[:CLASS[:MASK]]]]"; all but the vendor may be missing.
std::optional<VfioId> parse_id(const std::string& text) {
  VfioId id{};
  std::istringstream fields(text);
  std::string field;
  for (uint32_t* const value : {&id.vendor, &id.device, &id.subsystem_vendor, &id.subsystem_device,
                                &id.class_code, &id.class_mask}) {
    if (!std::getline(fields, field, ':')) break;
    if (field.starts_with("0x")) field.erase(0, 2);
    const char* const end = field.data() + field.size();
    const auto [stop, error] = std::from_chars(field.data(), end, *value, 16);
    if (error != std::errc{} || stop != end) return std::nullopt;
  }
  return id.vendor == 0 ? std::nullopt : std::optional(id);
}

// Returns the id of a list, "1b36:0010,8086:10d3", that matches the function.
std::optional<VfioId> matching_id(const std::string& list, const PciFunction& function) {
  std::istringstream ids(list);
  for (std::string text; std::getline(ids, text, ',');) {
    const auto id = parse_id(text);
    if (id && id->matches(function)) return id;
  }
  return std::nullopt;
}

// A parameter that has an id for the function.
struct IdSource {
  VfioId id{};
  std::string where{};   // "the kernel's command line has vfio-pci.ids=1b36:0010"
  std::string remedy{};  // what to remove, so that the id does not return
};

std::optional<IdSource> in_command_line(const fs::path& root, const PciFunction& function) {
  constexpr size_t kMaxCommandLine = 65536;
  constexpr std::string_view kKey = ".ids=";
  std::istringstream words(
      read_file(root / "proc/cmdline", kMaxCommandLine).value_or(std::string()));
  for (std::string word; words >> word;) {
    const size_t key = word.find(kKey);
    if (key == word.npos || !same_module(word.substr(0, key), function.driver)) continue;
    if (const auto id = matching_id(word.substr(key + kKey.size()), function)) {
      return IdSource{.id = *id,
                      .where = "the kernel's command line has " + printable(word),
                      .remedy = "Remove the parameter from the boot loader's configuration"};
    }
  }
  return std::nullopt;
}

// A line "options vfio-pci ids=1b36:0010 disable_vga=1" of modprobe.d(5).
std::optional<VfioId> in_options(const std::string& line, const PciFunction& function) {
  constexpr std::string_view kKey = "ids=";
  std::istringstream words(line);
  std::string word;
  std::string module;
  if (!(words >> word >> module) || word != "options" || !same_module(module, function.driver))
    return std::nullopt;
  while (words >> word) {
    if (!word.starts_with(kKey)) continue;
    if (const auto id = matching_id(word.substr(kKey.size()), function)) return id;
  }
  return std::nullopt;
}

std::optional<IdSource> in_file(const fs::path& file, const PciFunction& function) {
  constexpr size_t kMaxConfiguration = size_t{1} << 20;
  std::istringstream lines(read_file(file, kMaxConfiguration).value_or(std::string()));
  for (std::string line; std::getline(lines, line);) {
    if (const auto id = in_options(line, function)) {
      return IdSource{
          .id = *id,
          .where = printable(fmt::format("{} has '{}'", file.string(), line)),
          .remedy = printable(fmt::format("Remove the parameter from {}", file.string()))};
    }
  }
  return std::nullopt;
}

std::vector<IdSource> find_sources(const fs::path& root, const PciFunction& function) {
  std::vector<IdSource> sources;
  if (auto source = in_command_line(root, function)) sources.push_back(std::move(*source));
  for (const char* directory : {"etc/modprobe.d", "run/modprobe.d", "usr/local/lib/modprobe.d",
                                "usr/lib/modprobe.d", "lib/modprobe.d"}) {
    for (const std::string& name :
         names_in(root / directory).value_or(std::vector<std::string>())) {
      if (!name.ends_with(".conf")) continue;
      if (auto source = in_file(root / directory / name, function))
        sources.push_back(std::move(*source));
    }
  }
  return sources;
}

// The line for remove_id has the ids of the entry, not those of the device.
std::string remove_id(const PciFunction& function, const VfioId& id) {
  return fmt::format("'echo {:04x} {:04x} > /sys/bus/pci/drivers/{}/remove_id'", id.vendor,
                     id.device, function.driver);
}

}  // namespace

Error taken_back(const fs::path& root, const PciFunction& function) {
  Error error{
      .code = EBUSY, .operation = "give the device to a host driver", .device = function.bdf.str()};
  const std::string again = fmt::format("then repeat 'passthru unbind {}'", function.bdf.str());
  if (is_vfio_name(function.driver_override)) {
    error.cause = fmt::format("another program has set its driver_override to {} again",
                              printable(function.driver_override));
    error.advice = "Stop that program, " + again;
    return error;
  }
  const std::vector<IdSource> sources = find_sources(root, function);
  if (sources.empty()) {
    const VfioId own{.vendor = function.vendor, .device = function.device};
    error.cause = fmt::format(
        "{} took it again by a dynamic id, which was written to new_id, or given as ids= when the "
        "module was loaded",
        function.driver);
    error.advice = fmt::format("Remove the id with {}, {}", remove_id(function, own), again);
    return error;
  }
  std::vector<std::string> where;
  std::vector<std::string> remedies;
  for (const IdSource& source : sources) {
    where.push_back(source.where);
    remedies.push_back(source.remedy);
  }
  error.cause =
      fmt::format("{} took it again, because {}", function.driver, first_few(where, " and "));
  error.advice =
      fmt::format("Remove the id with {}, {}. {}, or the id returns at the next boot",
                  remove_id(function, sources.front().id), again, first_few(remedies, ". "));
  return error;
}

}  // namespace passthru
