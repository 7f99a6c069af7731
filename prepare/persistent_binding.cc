// SPDX-License-Identifier: MIT
#include "prepare/persistent_binding.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <initializer_list>
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
  if (read_file(file, kMaxRule).value_or(std::string()) == content) return ChangePlan{};
  return ChangePlan{content_change(file, content, bdf.str())};
}

ChangePlan PersistentBinding::forget(Bdf bdf) const {
  ChangePlan plan;
  if (is_vfio_name(first_line(driverctl_file(bdf)))) {
    plan.push_back(removal_of(driverctl_file(bdf), first_line(driverctl_file(bdf)) + "\n", bdf));
  }
  if (const auto rule = read_file(udev_rule(bdf), kMaxRule))
    plan.push_back(removal_of(udev_rule(bdf), *rule, bdf));
  return plan;
}

}  // namespace passthru
