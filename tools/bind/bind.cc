// SPDX-License-Identifier: MIT
// `passthru bind`: moves devices from their host drivers to vfio-pci.
#include <fmt/format.h>

#include <algorithm>
#include <memory>

#include "prepare/in_use.h"
#include "tools/bind/rebind.h"
#include "tools/commands.h"
#include "tools/devices/device_words.h"
#include "vfio/group.h"

namespace passthru::tools {
namespace {

constexpr const char* kBindFooter =
    "The host loses the device at once. Refuses a device that the host needs:\n"
    "- its disks have a mounted file system, swap or a volume (dm, md),\n"
    "- its network interface is up,\n"
    "- it is a console, shows the console, or has a keyboard or a mouse,\n"
    "- a process has a device node open (serial port, sound, graphics, disk).\n"
    "The refusal names the use and the process, and says how to free the device;\n"
    "--force takes the device anyway.\n"
    "Binds all the devices or, if one device cannot be bound, no device.\n"
    "/run/passthru/DEVICE keeps the driver of each device, for\n"
    "'passthru unbind'. If 'bind' is killed, the next 'bind' completes the\n"
    "binding, and 'unbind' takes it back. Needs root.\n"
    "\n"
    "If the driver does not release the device, 'bind' says so after two\n"
    "seconds; Ctrl-C then ends it, and the text says what was changed.\n"
    "\n"
    "--persist writes /etc/driverctl.d/pci-DEVICE if driverctl is installed, or\n"
    "else a rule of udev, /etc/udev/rules.d/10-passthru-DEVICE.rules. At boot\n"
    "nothing checks whether the host uses the device. 'passthru unbind' removes\n"
    "the file.\n"
    "\n"
    "Examples:\n"
    "  sudo passthru bind 0000:01:00.0\n"
    "  sudo passthru bind eth1                by its interface\n"
    "  sudo passthru bind 01:00.0 01:00.1     both functions of a card\n"
    "  sudo passthru bind --group 01:00.0     the same, by the IOMMU group\n"
    "  sudo passthru bind --persist 01:00.0   also after a boot\n"
    "  sudo passthru bind --driver mlx5_vfio_pci 01:00.2\n"
    "  passthru bind --dry-run eth1           only print the changes";

// A device that changes its VFIO driver may be a guest's. A dry run does not open the group.
Result<void> require_free(const RebindHost& host, const BindOptions& options, Bdf bdf) {
  const PciFunction function = PASSTHRU_TRY(host.sysfs.function(bdf));
  if (!function.on_vfio)
    return require_unused(host.sysfs, host.root / "proc", host.root / "dev", bdf);
  if (options.dry_run) return {};
  return require_no_vfio_user(host.sysfs, host.root / "proc", bdf, host.try_group);
}

Result<ChangePlan> plan_of_bind(const RebindHost& host, const BindOptions& options, Bdf bdf,
                                const std::string& driver) {
  const Binding binding = host.binding();
  ChangePlan plan = PASSTHRU_TRY(binding.bind(bdf, driver));
  if (!plan.empty() && !options.force) PASSTHRU_TRY(require_free(host, options, bdf));
  if (!options.persist) return plan;
  const PciFunction function = PASSTHRU_TRY(host.sysfs.function(bdf));
  const std::string bound = PASSTHRU_TRY(binding.driver_after_bind(function, driver));
  for (PlannedChange& change : PASSTHRU_TRY(host.persistence().keep(function, bound)))
    plan.push_back(std::move(change));
  return plan;
}

// Returns the variant driver if the device has another driver now.
std::string better_driver(const RebindHost& host, const PciFunction& now) {
  const std::string variant = host.binding().variant_driver(now);
  return same_module(variant, now.driver) ? "" : variant;
}

// Returns the removals of the files that bind the device at each boot, as far as they can be read.
ChangePlan kept_over_boot(const RebindHost& host, Bdf bdf) {
  return host.persistence().forget(bdf).value_or(ChangePlan());
}

std::vector<std::string> notes_of_bind(const RebindHost& host, const BindOptions& options,
                                       const PciFunction& now) {
  std::vector<std::string> notes;
  const std::string variant = better_driver(host, now);
  if (!variant.empty() && options.driver.empty()) {
    notes.push_back(fmt::format(
        "  the kernel has a VFIO driver for this device: 'passthru bind --driver {} {}'", variant,
        now.bdf.str()));
  }
  for (const PlannedChange& removal : kept_over_boot(host, now.bdf))
    notes.push_back("  bound at each boot by " + removal.change.file.string());
  return notes;
}

}  // namespace

int bind_devices(const RebindHost& host, const BindOptions& options) {
  // --driver is for the named devices. The others of their groups need not have the same model.
  const auto named = devices_of(host.sysfs, options.devices).value_or(std::vector<Bdf>());
  const auto driver_for = [&](Bdf bdf) {
    const bool is_named = std::find(named.begin(), named.end(), bdf) != named.end();
    return is_named ? options.driver : std::string();
  };
  return rebind(
      host, options,
      {.group_of = [&](Bdf bdf) { return functions_to_bind(host.sysfs, bdf); },
       .plan_for = [&](Bdf bdf) { return plan_of_bind(host, options, bdf, driver_for(bdf)); },
       .members =
           [&](const PciFunction& now) {
             return Json{{"variant_driver", json_or_null(better_driver(host, now))},
                         {"persistent", !kept_over_boot(host, now.bdf).empty()}};
           },
       .notes = [&](const PciFunction& now) { return notes_of_bind(host, options, now); },
       .check = [](const PciFunction&) { return Result<void>(); }});
}

CLI::App* add_bind(CLI::App& app, int& status) {
  CLI::App* command =
      app.add_subcommand("bind", "Take devices from their host drivers, for guests");
  const auto options = std::make_shared<BindOptions>();
  add_rebind_options(*command, *options);
  command->add_flag("--group", options->whole_groups,
                    "Also take the devices that block their IOMMU groups, except bridges");
  command
      ->add_option("--driver", options->driver,
                   "VFIO driver of the devices, such as mlx5_vfio_pci (default: vfio-pci)")
      ->type_name("NAME");
  command->add_flag("--persist", options->persist, "Bind the devices again at each boot");
  command->add_flag("--force", options->force,
                    "Also take devices that the host still uses; the host loses them");
  command->footer(kBindFooter);
  command->callback([options, &status] { status = bind_devices(this_host(), *options); });
  return command;
}

}  // namespace passthru::tools
