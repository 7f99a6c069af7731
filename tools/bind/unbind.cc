// SPDX-License-Identifier: MIT
// `passthru unbind`: moves devices from vfio-pci back to their host drivers.
#include <memory>

#include "prepare/taken_back.h"
#include "tools/bind/rebind.h"
#include "tools/commands.h"
#include "vfio/group.h"

namespace passthru::tools {
namespace {

constexpr const char* kUnbindFooter =
    "Gives each device back to the driver that 'passthru bind' took it from. If\n"
    "that driver is not known, the kernel chooses a driver. Also restores a\n"
    "device whose 'bind' or 'unbind' was killed, and removes the file of 'bind\n"
    "--persist'.\n"
    "Refuses a device that a guest still uses, and names the guest's process.\n"
    "Needs root.\n"
    "\n"
    "If vfio-pci takes the device again, the exit status is 3, and the text says\n"
    "by which parameter or id.\n"
    "\n"
    "Examples:\n"
    "  sudo passthru unbind 0000:01:00.0\n"
    "  sudo passthru unbind --group 0000:01:00.0   and all others of its group\n"
    "  passthru unbind --dry-run 0000:01:00.0      only print the changes";

// Checks first: a write to `unbind` would wait without limit for the user of the device. The file
// of `bind --persist` is removed first: if the rest fails, a boot gives the device back.
Result<ChangePlan> plan_of_unbind(const RebindHost& host, bool dry_run, Bdf bdf) {
  if (!dry_run)
    PASSTHRU_TRY(require_no_vfio_user(host.sysfs, host.root / "proc", bdf, host.try_group));
  ChangePlan plan = PASSTHRU_TRY(host.persistence().forget(bdf));
  for (PlannedChange& change : PASSTHRU_TRY(host.binding().unbind(bdf)))
    plan.push_back(std::move(change));
  return plan;
}

}  // namespace

int unbind_devices(const RebindHost& host, const RebindOptions& options) {
  return rebind(host, options,
                {.group_of = [&](Bdf bdf) { return functions_of_group(host.sysfs, bdf); },
                 .plan_for = [&](Bdf bdf) { return plan_of_unbind(host, options.dry_run, bdf); },
                 .members = [](const PciFunction&) { return Json::object(); },
                 .notes = [](const PciFunction&) { return std::vector<std::string>(); },
                 .check = [&](const PciFunction& now) -> Result<void> {
                   if (!now.on_vfio) return {};
                   return tl::unexpected(taken_back(host.root, now));
                 }});
}

CLI::App* add_unbind(CLI::App& app, int& status) {
  CLI::App* command = app.add_subcommand("unbind", "Give devices back to their host drivers");
  const auto options = std::make_shared<RebindOptions>();
  add_rebind_options(*command, *options);
  command->add_flag("--group", options->whole_groups,
                    "Also give back all other devices of their IOMMU groups, except bridges");
  command->footer(kUnbindFooter);
  command->callback([options, &status] { status = unbind_devices(this_host(), *options); });
  return command;
}

}  // namespace passthru::tools
