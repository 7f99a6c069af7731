// SPDX-License-Identifier: MIT
// The steps of a rebinding (state before, plan, changes, report) and its options.
#include "tools/bind/rebind.h"

#include <fmt/format.h>

#include <algorithm>

#include "tools/bind/visible_wait.h"
#include "tools/commands.h"
#include "tools/devices/device_words.h"
#include "tools/printable.h"
#include "tools/terminal.h"
#include "vfio/group.h"
#include "vfio/linux_kernel.h"

namespace passthru::tools {
namespace {

struct Rebound {
  PciFunction before;
  bool changed = false;
};

std::string shown(const std::string& driver) {
  return driver.empty() ? "no driver" : driver;
}

// A name that is not an address shows which device it stands for.
void print_meanings(const Sysfs& sysfs, const std::vector<std::string>& words) {
  for (const std::string& word : words) {
    if (Bdf::parse(word)) continue;
    if (const auto bdf = device_of(sysfs, word))
      fmt::print("# {} is {}\n", printable(word), bdf->str());
  }
}

void print_plan(const ChangePlan& plan, const std::vector<Bdf>& devices, bool json) {
  Json lines = Json::array();
  Json addresses = Json::array();
  for (const Bdf bdf : devices) addresses.push_back(bdf.str());
  for (const PlannedChange& planned : plan) {
    if (json) {
      lines.push_back(planned.change.str());
    } else {
      print_text(planned.change.str() + "\n");
    }
  }
  if (json) print_json({{"changes", lines}, {"devices", addresses}});
  if (!json && plan.empty()) print_text("# nothing to do\n");
}

// Explains why a device on vfio-pci is not assignable yet: another device of its group is not.
std::string remark(const Sysfs& sysfs, const PciFunction& now) {
  if (!now.on_vfio) return {};
  const auto group = assignable_group(sysfs, now.bdf);
  return group ? fmt::format(" (IOMMU group {})", *group)
               : fmt::format("\n  not assignable yet: {}. {}", group.error().cause,
                             group.error().advice);
}

void print_device(const RebindHost& host, const Rebinding& rebinding, const Rebound& rebound,
                  const PciFunction& now) {
  const std::string group = remark(host.sysfs, now);
  if (rebound.before.driver != now.driver) {
    print_wrapped(fmt::format("{}: {} -> {}{}\n", now.bdf.str(), shown(rebound.before.driver),
                              shown(now.driver), group));
  } else {
    print_wrapped(fmt::format("{}: {} already, {}{}\n", now.bdf.str(), shown(now.driver),
                              rebound.changed ? "settings updated" : "nothing to do", group));
  }
  for (const std::string& line : rebinding.notes(now)) print_wrapped(line + "\n");
}

Json to_json(const Rebinding& rebinding, const Rebound& rebound, const PciFunction& now) {
  Json device = {{"device", now.bdf.str()},
                 {"driver", json_or_null(now.driver)},
                 {"driver_before", json_or_null(rebound.before.driver)},
                 {"changed", rebound.changed},
                 {"iommu_group", json_or_null(now.iommu_group)}};
  device.update(rebinding.members(now));
  return device;
}

int report(const RebindHost& host, const std::vector<Rebound>& all, const Rebinding& rebinding,
           bool as_json) {
  int status = kDone;
  Json devices = Json::array();
  for (const Rebound& rebound : all) {
    const auto now = host.sysfs.function(rebound.before.bdf);
    if (!now) return report_error(now.error());
    const auto right = rebinding.check(*now);
    if (!right) status = report_error(right.error());
    if (as_json) {
      devices.push_back(to_json(rebinding, rebound, *now));
    } else if (right) {
      print_device(host, rebinding, rebound, *now);
    }
  }
  if (as_json) print_json({{"devices", devices}});
  return status;
}

// Returns each device once: two of `named` may be in the same group.
Result<std::vector<Bdf>> with_their_groups(const Rebinding& rebinding,
                                           const std::vector<Bdf>& named) {
  std::vector<Bdf> devices;
  for (const Bdf bdf : named) {
    for (const Bdf member : PASSTHRU_TRY(rebinding.group_of(bdf))) {
      if (std::find(devices.begin(), devices.end(), member) == devices.end())
        devices.push_back(member);
    }
  }
  return devices;
}

Result<void> try_group_of_this_host(uint32_t group) {
  LinuxKernel kernel;
  const auto open = kernel.open_group(group);
  return open ? Result<void>() : Result<void>(tl::unexpected(open.error()));
}

}  // namespace

RebindHost this_host() {
  return {
      .apply =
          [](const FileChange& change) { return apply_visibly(change, WaitOptions{.say = say}); },
      .try_group = try_group_of_this_host};
}

void add_rebind_options(CLI::App& command, RebindOptions& options) {
  command.add_option("DEVICE", options.devices, kDevicesHelp)->type_name("")->required();
  command.add_flag("--dry-run", options.dry_run,
                   "Print the changes as shell commands without making them");
  command.add_flag("--json", options.json, kJsonHelp);
}

int rebind(const RebindHost& host, const RebindOptions& options, const Rebinding& rebinding) {
  auto devices = devices_of(host.sysfs, options.devices);
  if (!devices) return wrong_usage(devices.error());
  if (options.whole_groups) devices = with_their_groups(rebinding, *devices);
  if (!devices) return report_error(devices.error());

  ChangePlan plan;
  std::vector<Rebound> rebound;
  for (const Bdf bdf : *devices) {
    auto before = host.sysfs.function(bdf);
    if (!before) return report_error(before.error());
    auto changes = rebinding.plan_for(bdf);
    if (!changes) return report_error(changes.error());
    rebound.push_back({.before = std::move(*before), .changed = !changes->empty()});
    plan.insert(plan.end(), changes->begin(), changes->end());
  }
  if (options.dry_run) {
    if (!options.json) print_meanings(host.sysfs, options.devices);
    print_plan(plan, *devices, options.json);
    return kDone;
  }
  Result<void> done;
  {
    // All or nothing: a signal must not leave half a plan, except while the kernel waits.
    const SignalsBlocked blocked(StopFlag::kSignals);
    done = carry_out(plan, host.apply);
  }
  if (!done) return report_error(done.error());
  return report(host, rebound, rebinding, options.json);
}

}  // namespace passthru::tools
