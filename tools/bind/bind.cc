// SPDX-License-Identifier: MIT
// `passthru bind`: moves devices from their host drivers to vfio-pci.
#include <memory>

#include "prepare/binding.h"
#include "prepare/in_use.h"
#include "tools/bind/rebind.h"
#include "tools/commands.h"

namespace passthru::tools {
namespace {

constexpr const char* kBindFooter =
    "The host loses the device at once. Refuses a device that the host needs: its disks have\n"
    "a mounted file system, swap or a volume (dm, md), or its network interface is up. The\n"
    "refusal says how to free the device; --force takes the device anyway.\n"
    "Binds all the devices or, if one device cannot be bound, no device. /run/passthru/DEVICE\n"
    "keeps the driver of each device, for 'passthru unbind'. Needs root.\n"
    "\n"
    "Examples:\n"
    "  sudo passthru bind 0000:01:00.0\n"
    "  sudo passthru bind 01:00.0 01:00.1           both functions of a card, in one IOMMU group\n"
    "  sudo passthru bind --group 01:00.0           the same, by the IOMMU group\n"
    "  passthru bind --dry-run 0000:01:00.0         only print the changes";

// Skips the check of a device that is bound to vfio-pci already: the host does not use it.
Result<ChangePlan> plan_for(const Sysfs& sysfs, Bdf bdf, bool force) {
  ChangePlan plan = PASSTHRU_TRY(Binding(sysfs).bind(bdf));
  if (!plan.empty() && !force) PASSTHRU_TRY(require_unused(sysfs, "/proc", "/dev", bdf));
  return plan;
}

}  // namespace

CLI::App* add_bind(CLI::App& app, int& status) {
  CLI::App* command =
      app.add_subcommand("bind", "Take devices from their host drivers, for guests");
  const auto options = add_rebind_options(*command);
  const auto force = std::make_shared<bool>(false);
  command->add_flag("--force", *force,
                    "Also take devices that the host still uses; the host loses them");
  command->footer(kBindFooter);
  command->callback([options, force, &status] {
    const Sysfs sysfs;
    status = rebind(sysfs, *options, [&](Bdf bdf) { return plan_for(sysfs, bdf, *force); });
  });
  return command;
}

}  // namespace passthru::tools
