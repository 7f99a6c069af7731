// SPDX-License-Identifier: MIT
// The steps of a rebinding (state before, plan, changes, report) and its options.
#include "tools/bind/rebind.h"

#include <fmt/format.h>

#include <algorithm>

#include "tools/commands.h"
#include "tools/json.h"
#include "tools/terminal.h"
#include "vfio/group.h"

namespace passthru::tools {
namespace {

struct Rebound {
  PciFunction before;
  bool changed = false;
};

std::string shown(const std::string& driver) {
  return driver.empty() ? "no driver" : driver;
}

void print_plan(const ChangePlan& plan, bool json) {
  Json lines = Json::array();
  for (const PlannedChange& planned : plan) {
    if (json) {
      lines.push_back(planned.change.str());
    } else {
      fmt::print("{}\n", planned.change.str());
    }
  }
  if (json) print_json({{"changes", lines}});
}

// Explains why a device on vfio-pci is not assignable yet: another device of its group is not.
std::string remark(const Sysfs& sysfs, const PciFunction& now) {
  if (!now.on_vfio) return {};
  const auto group = assignable_group(sysfs, now.bdf);
  return group ? fmt::format(" (IOMMU group {})", *group)
               : fmt::format("\n  not assignable yet: {}. {}", group.error().cause,
                             group.error().advice);
}

int report(const Sysfs& sysfs, const std::vector<Rebound>& rebound, bool as_json) {
  Json devices = Json::array();
  for (const auto& [before, changed] : rebound) {
    const auto now = sysfs.function(before.bdf);
    if (!now) return report_error(now.error());
    if (as_json) {
      devices.push_back({{"device", now->bdf.str()},
                         {"driver", json_or_null(now->driver)},
                         {"driver_before", json_or_null(before.driver)},
                         {"changed", changed},
                         {"iommu_group", json_or_null(now->iommu_group)}});
    } else if (changed) {
      fmt::print("{}: {} -> {}{}\n", now->bdf.str(), shown(before.driver), shown(now->driver),
                 remark(sysfs, *now));
    } else {
      fmt::print("{}: {} already, nothing to do{}\n", now->bdf.str(), shown(now->driver),
                 remark(sysfs, *now));
    }
  }
  if (as_json) print_json({{"devices", devices}});
  return kDone;
}

// Returns each device once: two of `named` may be in the same group.
Result<std::vector<Bdf>> with_their_groups(const Sysfs& sysfs, const std::vector<Bdf>& named) {
  std::vector<Bdf> devices;
  for (const Bdf bdf : named) {
    for (const Bdf member : PASSTHRU_TRY(functions_of_group(sysfs, bdf))) {
      if (std::find(devices.begin(), devices.end(), member) == devices.end())
        devices.push_back(member);
    }
  }
  return devices;
}

}  // namespace

std::shared_ptr<RebindOptions> add_rebind_options(CLI::App& command) {
  auto options = std::make_shared<RebindOptions>();
  command.add_option("DEVICE", options->devices, "PCI addresses, as 'passthru list' shows them")
      ->type_name("")
      ->required();
  command.add_flag("--group", options->whole_groups,
                   "Also take all other devices of their IOMMU groups, except bridges");
  command.add_flag("--dry-run", options->dry_run,
                   "Print the changes as shell commands without making them");
  command.add_flag("--json", options->json, kJsonHelp);
  return options;
}

int rebind(const Sysfs& sysfs, const RebindOptions& options,
           const std::function<Result<ChangePlan>(Bdf)>& plan_for) {
  auto devices = parse_devices(options.devices);
  if (!devices) return wrong_usage(devices.error());
  if (options.whole_groups) devices = with_their_groups(sysfs, *devices);
  if (!devices) return report_error(devices.error());

  ChangePlan plan;
  std::vector<Rebound> rebound;
  for (const Bdf bdf : *devices) {
    auto before = sysfs.function(bdf);
    if (!before) return report_error(before.error());
    auto changes = plan_for(bdf);
    if (!changes) return report_error(changes.error());
    rebound.push_back({.before = std::move(*before), .changed = !changes->empty()});
    plan.insert(plan.end(), changes->begin(), changes->end());
  }
  if (options.dry_run) {
    print_plan(plan, options.json);
    return kDone;
  }
  Result<void> done;
  {
    // All or nothing: half a plan would leave a device without a driver.
    const SignalsHeld held;
    done = carry_out(plan);
  }
  if (!done) return report_error(done.error());
  return report(sysfs, rebound, options.json);
}

}  // namespace passthru::tools
