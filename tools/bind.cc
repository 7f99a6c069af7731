// SPDX-License-Identifier: MIT
// Owns `passthru bind`: devices leave their host drivers for vfio-pci.
#include "tools/commands.h"
#include "tools/rebind.h"
#include "vfio/binding.h"

namespace passthru::tools {
namespace {

constexpr const char* kFooter =
    "The host stops using the device at once: unmount its file systems and take its network links "
    "down first.\n"
    "Either all the devices are bound or, if one cannot be, none. The driver that a device had is "
    "kept in\n"
    "/run/passthru/DEVICE, and 'passthru unbind' gives it back. Needs root.\n"
    "\n"
    "Examples:\n"
    "  sudo passthru bind 0000:01:00.0\n"
    "  sudo passthru bind 01:00.0 01:00.1           both functions of a card, in one IOMMU group\n"
    "  passthru bind --dry-run 0000:01:00.0         only show what would be written";

}  // namespace

CLI::App* add_bind(CLI::App& app, int& status) {
  CLI::App* command =
      app.add_subcommand("bind", "Take devices from their host drivers, for guests");
  const auto options = add_rebind_options(*command);
  command->footer(kFooter);
  command->callback([options, &status] {
    const Sysfs sysfs;
    const Binding binding(sysfs);
    status = rebind(sysfs, *options, [&binding](Bdf bdf) { return binding.bind(bdf); });
  });
  return command;
}

}  // namespace passthru::tools
