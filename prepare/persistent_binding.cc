// SPDX-License-Identifier: MIT
#include "prepare/persistent_binding.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <initializer_list>
#include <optional>
#include <string>
#include <system_error>

#include "base/small_file.h"
#include "prepare/kernel_modules.h"

namespace passthru {
namespace {

namespace fs = std::filesystem;

constexpr size_t kMaxRule = 65536;

bool any_exists(const fs::path& root, std::initializer_list<const char*> files) {
  return std::any_of(files.begin(), files.end(), [&](const char* file) {
    std::error_code error;
    return fs::exists(root / file, error);
  });
}

// The rule sets the override before udev loads the driver of the device (80-drivers.rules). If a
// driver of the initial RAM disk has the device already, the command unbinds it. %k is the address,
// %p the path below /sys.
std::string rule_of(const PciFunction& function, const std::string& vfio_driver) {
  const std::string bdf = function.bdf.str();
  return fmt::format(
      "# Written by 'passthru bind --persist'. 'passthru unbind {0}' removes this file.\n"
      "ACTION==\"add\", SUBSYSTEM==\"pci\", KERNEL==\"{0}\", ATTR{{vendor}}==\"0x{1:04x}\", "
      "ATTR{{device}}==\"0x{2:04x}\", ATTR{{driver_override}}=\"{3}\", "
      "RUN{{builtin}}+=\"kmod load {3}\", "
      "RUN+=\"/bin/sh -c 'test /sys%p/driver -ef /sys/bus/pci/drivers/{3} || "
      "{{ test ! -e /sys%p/driver || echo %k > /sys%p/driver/unbind; "
      "echo %k > /sys/bus/pci/drivers_probe; }}'\"\n",
      bdf, function.vendor, function.device, vfio_driver);
}

// Returns nullopt if the file does not exist.
Result<std::optional<std::string>> read_if_exists(const fs::path& file, Bdf bdf) {
  auto text = read_file(file, kMaxRule).on(bdf.str());
  if (text) return std::optional(std::move(*text));
  if (text.error().code == ENOENT) return std::optional<std::string>();
  return tl::unexpected(std::move(text).error());
}

PlannedChange removal_of(const fs::path& file, const std::string& content, Bdf bdf) {
  return {{FileChange::Kind::Remove, file, {}},
          {FileChange{FileChange::Kind::Create, file, content}},
          bdf.str()};
}

}  // namespace

// The rule of udev makes driverctl's files effective.
bool PersistentBinding::has_driverctl() const {
  return any_exists(
      root_, {"usr/lib/udev/rules.d/05-driverctl.rules", "lib/udev/rules.d/05-driverctl.rules"});
}

bool PersistentBinding::has_udev() const {
  return any_exists(root_, {"etc/udev", "usr/lib/udev/rules.d", "lib/udev/rules.d"});
}

fs::path PersistentBinding::driverctl_file(Bdf bdf) const {
  return root_ / "etc/driverctl.d" / ("pci-" + bdf.str());
}

fs::path PersistentBinding::udev_rule(Bdf bdf) const {
  return root_ / "etc/udev/rules.d" / fmt::format("10-passthru-{}.rules", bdf.str());
}

Result<ChangePlan> PersistentBinding::keep(const PciFunction& function,
                                           const std::string& vfio_driver) const {
  const Bdf bdf = function.bdf;
  if (!has_driverctl() && !has_udev()) {
    return tl::unexpected(
        Error{.code = ENOTSUP,
              .operation = "keep the binding over a boot",
              .device = bdf.str(),
              .cause = "neither driverctl nor udev is installed",
              .advice = fmt::format("Run 'passthru bind {}' at each boot", bdf.str())});
  }
  const fs::path file = has_driverctl() ? driverctl_file(bdf) : udev_rule(bdf);
  const std::string content = has_driverctl() ? vfio_driver + "\n" : rule_of(function, vfio_driver);
  const auto now = PASSTHRU_TRY(read_if_exists(file, bdf));
  if (now == content) return ChangePlan{};
  return ChangePlan{PASSTHRU_TRY(content_change(file, content, bdf.str()))};
}

Result<ChangePlan> PersistentBinding::forget(Bdf bdf) const {
  ChangePlan plan;
  const auto named = PASSTHRU_TRY(read_if_exists(driverctl_file(bdf), bdf));
  if (named && is_vfio_name(named->substr(0, named->find('\n'))))
    plan.push_back(removal_of(driverctl_file(bdf), *named, bdf));
  const auto rule = PASSTHRU_TRY(read_if_exists(udev_rule(bdf), bdf));
  if (rule) plan.push_back(removal_of(udev_rule(bdf), *rule, bdf));
  return plan;
}

}  // namespace passthru
