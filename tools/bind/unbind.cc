// SPDX-License-Identifier: MIT
// Owns `passthru unbind`: devices go from vfio-pci back to the drivers they had.
#include <fmt/format.h>

#include "prepare/binding.h"
#include "tools/bind/rebind.h"
#include "tools/commands.h"
#include "vfio/linux_kernel.h"

namespace passthru::tools {
namespace {

constexpr const char* kUnbindFooter =
    "Each device goes back to the driver that 'passthru bind' took it from; where that is not "
    "known, to the one\n"
    "that the kernel chooses. A device that a guest still uses stays with it. Needs root.\n"
    "\n"
    "Examples:\n"
    "  sudo passthru unbind 0000:01:00.0\n"
    "  sudo passthru unbind --group 0000:01:00.0    and what shares its IOMMU group\n"
    "  passthru unbind --dry-run 0000:01:00.0       only show what would be written";

// The kernel would let the writer of `unbind` wait, without end, for who uses the device.
Result<void> require_no_guest(const Sysfs& sysfs, Bdf bdf) {
  const PciFunction function = PASSTHRU_TRY(sysfs.function(bdf));
  if (!function.on_vfio || !function.iommu_group) return {};
  LinuxKernel kernel;
  const auto group = kernel.open_group(*function.iommu_group);
  if (group || group.error().code != EBUSY) return {};
  return tl::unexpected(Error{
      .code = EBUSY,
      .operation = "cannot be unbound",
      .device = bdf.str(),
      .cause = fmt::format("another process uses IOMMU group {}", *function.iommu_group),
      .advice = fmt::format("End the guest that has it; 'fuser -v /dev/vfio/{}' shows whose it is",
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
