// SPDX-License-Identifier: MIT
// The order of the writes matters. The driver core matches a device that has a driver_override only
// with that driver. So the override is set after the old driver is unbound, and restored before the
// old driver returns.
#include "prepare/binding.h"

#include <fmt/format.h>

#include <optional>
#include <string>
#include <string_view>

#include "base/small_file.h"
#include "vfio/group.h"

namespace passthru {
namespace {

namespace fs = std::filesystem;

constexpr const char* kVfio = "vfio-pci";

// The driver and the override that a device had before it was bound to vfio-pci.
struct Record {
  std::string driver{};           // empty: none
  std::string driver_override{};  // empty: none

  [[nodiscard]] std::string text() const {
    return fmt::format("driver={}\noverride={}\n", driver, driver_override);
  }
};

// Returns whether a driver's name stays within its directory when it becomes part of a path.
bool is_driver_name(std::string_view name) {
  return name != "." && name != ".." && name.find_first_of(std::string_view("/\0", 2)) == name.npos;
}

std::optional<std::string> take_line(std::string_view& text, std::string_view key) {
  const size_t end = text.find('\n');
  if (end == text.npos || !text.starts_with(key)) return std::nullopt;
  std::string value(text.substr(key.size(), end - key.size()));
  text.remove_prefix(end + 1);
  if (!is_driver_name(value)) return std::nullopt;
  return value;
}

Result<std::optional<Record>> read_record(const fs::path& file) {
  auto text = read_file(file);
  if (!text) {
    if (text.error().code == ENOENT) return std::optional<Record>();
    return tl::unexpected(std::move(text).error());
  }
  std::string_view rest = *text;
  auto driver = take_line(rest, "driver=");
  auto driver_override = take_line(rest, "override=");
  if (!driver || !driver_override || !rest.empty()) {
    return tl::unexpected(Error{.code = EINVAL,
                                .operation = "read " + file.string(),
                                .cause = "the file is not a record of the device's former driver",
                                .advice = "Remove the file; the kernel then chooses a driver"});
  }
  return std::optional(Record{std::move(*driver), std::move(*driver_override)});
}

FileChange write(fs::path file, std::string value) {
  return {FileChange::Kind::Write, std::move(file), std::move(value)};
}

Error driver_missing(Bdf bdf, const std::string& driver, std::string cause) {
  return Error{.code = ENOENT,
               .operation = "find driver " + driver,
               .device = bdf.str(),
               .cause = std::move(cause),
               .advice = fmt::format("Load it with 'modprobe {}'", driver)};
}

// vfio-pci refuses this too, but only after the driver that serves the virtual functions is
// unbound.
Error has_virtual_functions(const Sysfs& sysfs, const PciFunction& function) {
  return Error{
      .code = EBUSY,
      .operation = "bind to vfio-pci",
      .device = function.bdf.str(),
      .cause = fmt::format("{} virtual functions depend on the device and its driver",
                           function.virtual_functions->enabled),
      .advice = fmt::format(
          "Assign the virtual functions, or remove them when nothing uses them: 'echo 0 > {}'",
          (sysfs.function_path(function.bdf) / "sriov_numvfs").string())};
}

}  // namespace

Result<ChangePlan> Binding::bind(Bdf bdf) const {
  const PciFunction function = PASSTHRU_TRY(bindable_function(sysfs_, bdf));
  if (function.on_vfio) return ChangePlan{};
  if (function.virtual_functions && function.virtual_functions->enabled != 0)
    return tl::unexpected(has_virtual_functions(sysfs_, function));
  if (!sysfs_.has_driver(kVfio))
    return tl::unexpected(driver_missing(bdf, kVfio, "the driver is not loaded"));

  const std::string name = bdf.str();
  const fs::path record = records_ / name;
  const fs::path override_file = sysfs_.function_path(bdf) / "driver_override";
  const fs::path vfio = sysfs_.driver_path(kVfio);

  ChangePlan plan;
  // A device with a record but no driver: an earlier bind was killed halfway. Keep its record.
  const auto left = read_record(record);
  if (!function.driver.empty() || !left || !*left) {
    plan.push_back({{FileChange::Kind::Create, record,
                     Record{function.driver, function.driver_override}.text()},
                    FileChange{FileChange::Kind::Remove, record, {}},
                    name});
  }
  if (!function.driver.empty()) {
    const fs::path driver = sysfs_.driver_path(function.driver);
    plan.push_back({write(driver / "unbind", name), write(driver / "bind", name), name});
  }
  plan.push_back(
      {write(override_file, kVfio), write(override_file, function.driver_override), name});
  plan.push_back({write(vfio / "bind", name), write(vfio / "unbind", name), name});
  return plan;
}

Result<ChangePlan> Binding::unbind(Bdf bdf) const {
  const PciFunction function = PASSTHRU_TRY(sysfs_.function(bdf));
  if (!function.on_vfio) return ChangePlan{};

  const std::string name = bdf.str();
  const fs::path record_file = records_ / name;
  const std::optional<Record> record = PASSTHRU_TRY(read_record(record_file).on(name));
  if (record && !record->driver.empty() && !sysfs_.has_driver(record->driver)) {
    return tl::unexpected(
        driver_missing(bdf, record->driver, "the device's former driver is no longer loaded"));
  }

  const fs::path device = sysfs_.function_path(bdf);
  const fs::path vfio = sysfs_.driver_path(function.driver);
  const Record before = record.value_or(Record{});

  ChangePlan plan;
  plan.push_back({write(vfio / "unbind", name), write(vfio / "bind", name), name});
  plan.push_back({write(device / "driver_override", before.driver_override),
                  write(device / "driver_override", function.driver_override), name});
  if (!record) {
    // Undo through the device: which driver the kernel will choose is not known yet.
    plan.push_back({write(sysfs_.bus_path() / "drivers_probe", name),
                    write(device / "driver/unbind", name), name});
  } else if (!record->driver.empty()) {
    const fs::path driver = sysfs_.driver_path(record->driver);
    plan.push_back({write(driver / "bind", name), write(driver / "unbind", name), name});
  }
  if (record) {
    plan.push_back({{FileChange::Kind::Remove, record_file, {}},
                    FileChange{FileChange::Kind::Create, record_file, record->text()},
                    name});
  }
  return plan;
}

}  // namespace passthru
