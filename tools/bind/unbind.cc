// SPDX-License-Identifier: MIT
// `passthru unbind`: moves devices from vfio-pci back to their host drivers.
#include <fmt/format.h>

#include "prepare/binding.h"
#include "tools/bind/rebind.h"
#include "tools/commands.h"
#include "vfio/linux_kernel.h"

namespace passthru::tools {
namespace {

constexpr const char* kUnbindFooter =
    "Gives each device back to the driver that 'passthru bind' took it from. If that driver\n"
    "is not known, the kernel chooses a driver. Refuses a device that a guest still uses.\n"
    "Needs root.\n"
    "\n"
    "Examples:\n"
    "  sudo passthru unbind 0000:01:00.0\n"
    "  sudo passthru unbind --group 0000:01:00.0    and all other devices of its IOMMU group\n"
    "  passthru unbind --dry-run 0000:01:00.0       only print the changes";

// Checks first: a write to `unbind` would wait without limit for the user of the device.
Result<void> require_no_guest(const Sysfs& sysfs, Bdf bdf) {
  const PciFunction function = PASSTHRU_TRY(sysfs.function(bdf));
  if (!function.on_vfio || !function.iommu_group) return {};
  LinuxKernel kernel;
  const auto group = kernel.open_group(*function.iommu_group);
  if (group || group.error().code != EBUSY) return {};
  return tl::unexpected(Error{
      .code = EBUSY,
      .operation = "unbind the device",
      .device = bdf.str(),
      .cause = fmt::format("another process uses IOMMU group {}", *function.iommu_group),
      .advice = fmt::format("End the guest that has it; 'fuser -v /dev/vfio/{}' shows its process",
                            *function.iommu_group)});
}

}  // namespace

CLI::App* add_unbind(CLI::App& app, int& status) {
  CLI::App* command = app.add_subcommand("unbind", "Give devices back to their host drivers");
  const auto options = add_rebind_options(*command);
  command->footer(kUnbindFooter);
  command->callback([options, &status] {
    const Sysfs sysfs;
    const Binding binding(sysfs);
    status = rebind(sysfs, *options, [&](Bdf bdf) -> Result<ChangePlan> {
      if (!options->dry_run) PASSTHRU_TRY(require_no_guest(sysfs, bdf));
      return binding.unbind(bdf);
    });
  });
  return command;
}

}  // namespace passthru::tools
