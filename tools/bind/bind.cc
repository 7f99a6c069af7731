// SPDX-License-Identifier: MIT
// Owns `passthru bind`: devices leave their host drivers for vfio-pci.
#include <memory>

#include "prepare/binding.h"
#include "prepare/in_use.h"
#include "tools/bind/rebind.h"
#include "tools/commands.h"

namespace passthru::tools {
namespace {

constexpr const char* kBindFooter =
    "The host stops using the device at once. One that it needs is refused: with a mounted file "
    "system, swap\n"
    "or a volume (dm, md) on its disks, or with a network interface that is up. The refusal says "
    "how to let\n"
    "go of each; --force takes the device all the same.\n"
    "Either all the devices are bound or, if one cannot be, none. The driver that a device had is "
    "kept in\n"
    "/run/passthru/DEVICE, and 'passthru unbind' gives it back. Needs root.\n"
    "\n"
    "Examples:\n"
    "  sudo passthru bind 0000:01:00.0\n"
    "  sudo passthru bind 01:00.0 01:00.1           both functions of a card, in one IOMMU group\n"
    "  sudo passthru bind --group 01:00.0           the same without naming the other\n"
    "  passthru bind --dry-run 0000:01:00.0         only show what would be written";

// What is bound already is nothing of the host's.
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
  command->add_flag("--force", *force, "Also what the host still uses, which it then loses");
  command->footer(kBindFooter);
  command->callback([options, force, &status] {
    const Sysfs sysfs;
    status = rebind(sysfs, *options, [&](Bdf bdf) { return plan_for(sysfs, bdf, *force); });
  });
  return command;
}

}  // namespace passthru::tools
