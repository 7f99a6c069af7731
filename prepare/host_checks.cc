// SPDX-License-Identifier: MIT
// A check that predicts a failure of attach uses the text of vfio/attach_advice.
#include "prepare/host_checks.h"

#include <fmt/format.h>

#include <algorithm>
#include <system_error>

#include "base/size_text.h"
#include "vfio/attach_advice.h"

namespace passthru {
namespace {

using enum Answer;

constexpr uint64_t kMiB = uint64_t{1} << 20;
constexpr uint64_t kMinGuest = 64 * kMiB;

HostCheck not_allowed(const char* name, const Error& error) {
  const std::string cause =
      error.cause.empty() ? std::generic_category().message(error.code) : error.cause;
  return {name, No, fmt::format("{}: {}", error.operation, cause), error.advice};
}

/// Returns why the way by group is not needed; empty if it is needed. `device` is null if no device
/// is known.
std::string other_way(const HostFacts& host, const DeviceFacts* device) {
  if (!host.iommufd || host.iommufd_errno != 0) return {};
  // A virtual function that a VF token guards is opened through its group: see vfio/device_source.
  if (device != nullptr && device->physical && device->physical->on_vfio) return {};
  // The node appears when the device is bound.
  if (device == nullptr || !device->function.on_vfio)
    return "not needed for a device that has its own node: this user may open /dev/iommu";
  if (device->cdev.empty() || device->cdev_errno != 0) return {};
  return "not needed: this user may open the device's own node and /dev/iommu";
}

HostCheck unless(const std::string& not_needed, HostCheck check) {
  if (check.answer != No || not_needed.empty()) return check;
  check.answer = Warn;
  check.what += "; " + not_needed;
  return check;
}

HostCheck iommu(const HostFacts& facts) {
  if (facts.iommu_groups != 0)
    return {"iommu", Ok, fmt::format("{} IOMMU groups", facts.iommu_groups), {}};
  return {"iommu", No, "no IOMMU group: the IOMMU is off, or the machine has no IOMMU",
          "Enable VT-d or AMD-Vi in the firmware; for VT-d, also boot Linux with intel_iommu=on"};
}

HostCheck remapping(const HostFacts& facts) {
  constexpr const char* kName = "interrupt_remapping";
  if (facts.unsafe_interrupts.value_or(false)) {
    const Error error = interrupts_unsafe(Backend::Group, {});
    return {kName, No, error.cause, error.advice};
  }
  if (!facts.interrupt_remapping.has_value()) {
    return {
        kName,
        Unknown,
        "cannot tell from /proc/interrupts; the kernel refuses groups without interrupt remapping",
        {}};
  }
  if (*facts.interrupt_remapping) return {kName, Ok, "the host's interrupts are remapped", {}};
  const Error refused =
      explain_iommu({.code = EPERM}, 0);  // the kernel's answer when a group is attached
  return {kName, No, "off: a guest could forge interrupts of the host", refused.advice};
}

HostCheck module(const char* name, bool there, const char* probe) {
  if (there) return {name, Ok, "loaded or built in", {}};
  return {name, No, "not loaded", fmt::format("modprobe {}", probe)};
}

HostCheck container(const HostFacts& facts) {
  if (facts.container_errno == 0)
    return {"container", Ok, "/dev/vfio/vfio may be opened by this user", {}};
  Error error{.code = facts.container_errno, .operation = "/dev/vfio/vfio"};
  error = explain_container(std::move(error));
  return not_allowed("container", error);
}

HostCheck locked_memory(const HostFacts& facts) {
  constexpr const char* kName = "locked_memory";
  if (!facts.lockable) return {kName, Unknown, "RLIMIT_MEMLOCK cannot be read", {}};
  if (*facts.lockable == UINT64_MAX) return {kName, Ok, "unlimited", {}};
  // All pages of a guest are locked, because a device's DMA may reach any of them.
  return {kName, *facts.lockable < kMinGuest ? No : Warn,
          fmt::format("RLIMIT_MEMLOCK is {}, but all memory of a guest must be locked",
                      size_text(*facts.lockable)),
          "For a guest of 2 GiB: 'ulimit -l 2097152' as root, or LimitMEMLOCK=2G in the service's "
          "unit"};
}

/// Returns a check of the way by node. A failure is only a warning, because the device can be
/// opened through its group.
HostCheck by_node(const char* name, int code, const Error& explained) {
  if (code == 0) return {name, Ok, explained.operation + " may be opened by this user", {}};
  HostCheck check = not_allowed(name, explained);
  check.answer = Warn;
  check.remedy += ". Or use the group: --backend=group";
  return check;
}

HostCheck iommufd(const HostFacts& facts) {
  if (!facts.iommufd)
    return {
        "iommufd", Ok, "/dev/iommu does not exist: devices are opened through their groups", {}};
  return by_node("iommufd", facts.iommufd_errno,
                 explain_iommufd({.code = facts.iommufd_errno, .operation = "/dev/iommu"}));
}

HostCheck in_use(const DeviceFacts& facts) {
  constexpr const char* kName = "in_use";
  if (facts.function.on_vfio) return {kName, Ok, "the host does not use it", {}};
  const auto& virtual_functions = facts.function.virtual_functions;
  if (virtual_functions && virtual_functions->enabled != 0) {
    return {kName, No,
            fmt::format("{} virtual functions depend on the device and its driver",
                        virtual_functions->enabled),
            fmt::format("'echo 0 > /sys/bus/pci/devices/{}/sriov_numvfs' removes them",
                        facts.function.bdf.str())};
  }
  if (!facts.uses) {
    return {kName, Unknown, facts.uses.error().message(), {}};
  }
  if (facts.uses->empty()) {
    return {kName,
            Ok,
            facts.sees_all_processes
                ? "the host does not use it"
                : "no use is visible; root also sees the device nodes that other users' processes "
                  "have open",
            {}};
  }
  std::vector<std::string> what;
  std::vector<std::string> ways;
  for (const DeviceUse& use : *facts.uses) {
    what.push_back(use.what);
    if (!use.remedy.empty()) ways.push_back("'" + use.remedy + "'");
  }
  return {kName, No, first_few(what, "; "), first_few(ways)};
}

HostCheck driver(const DeviceFacts& facts) {
  const PciFunction& function = facts.function;
  if (function.on_vfio) return {"driver", Ok, function.driver, {}};
  return {"driver", No,
          function.driver.empty() ? "not bound to vfio-pci"
                                  : fmt::format("bound to {}, not to vfio-pci", function.driver),
          fmt::format("'passthru bind {}'", function.bdf.str())};
}

HostCheck group(const DeviceFacts& facts) {
  const uint32_t number = *facts.function.iommu_group;
  if (facts.blocking.empty())
    return {"group", Ok, fmt::format("no other device blocks IOMMU group {}", number), {}};
  std::vector<std::string> named;
  for (const GroupMember& member : facts.blocking)
    named.push_back(fmt::format("{} ({})", member.name, member.driver));
  return {"group", No, fmt::format("IOMMU group {} is shared with {}", number, first_few(named)),
          fmt::format("'passthru bind --group {}', or move the device to another slot",
                      facts.function.bdf.str())};
}

HostCheck group_node(const DeviceFacts& facts) {
  constexpr const char* kName = "group_node";
  const uint32_t number = *facts.function.iommu_group;
  const std::string node = fmt::format("/dev/vfio/{}", number);
  if (facts.group_errno == 0) return {kName, Ok, node + " may be opened by this user", {}};
  if (facts.group_errno == ENOENT && !facts.function.on_vfio)
    return {kName, Unknown, node + " appears when the device is bound", {}};
  Error error{.code = facts.group_errno, .operation = node};
  error = explain_group(std::move(error), number);
  return not_allowed(kName, error);
}

HostCheck cdev(const DeviceFacts& facts) {
  return by_node(
      "cdev", facts.cdev_errno,
      explain_cdev({.code = facts.cdev_errno, .operation = "/dev/vfio/devices/" + facts.cdev},
                   facts.cdev));
}

HostCheck answers(const DeviceFacts& facts) {
  return {"answers", No, silence_of(facts.function),
          "Turn the machine off and on, or reset the device's slot"};
}

HostCheck bar_holders(const DeviceFacts& facts) {
  std::vector<std::string> held;
  bool boot_display = false;
  for (const HeldBar& each : facts.held_bars) {
    held.push_back(fmt::format("BAR {} ({})", each.bar, fmt::join(each.holders, ", ")));
    for (const std::string& name : each.holders) boot_display |= name == "BOOTFB";
  }
  return {"bar_holders", Warn,
          fmt::format("the host has {}: a guest reads all ones there", first_few(held)),
          boot_display ? "It is the host's boot display: boot Linux with "
                         "initcall_blacklist=sysfb_init (before 5.14: video=efifb:off)"
                       : "Unload what has it"};
}

HostCheck reserved_memory(const DeviceFacts& facts) {
  const Error error = memory_reserved({}, facts.direct_regions);
  return {"reserved_memory", No, error.cause, error.advice};
}

HostCheck vf_token(const DeviceFacts& facts) {
  return {
      "vf_token", Warn,
      fmt::format(
          "{} is on {}: to open this function through its group, as 'passthru run' does, give "
          "the VF token of that device; before Linux 6.17 its own node may not require it",
          facts.physical->bdf.str(), facts.physical->driver),
      "'passthru run --vf-token UUID' with the UUID that the physical function was opened with"};
}

std::string identity(const DeviceFacts& facts) {
  const PciFunction& function = facts.function;
  std::string text = fmt::format("{:04x}:{:04x}", function.vendor, function.device);
  if (!facts.physical) return text;
  const std::string& driver = facts.physical->driver;
  return text + fmt::format(", a virtual function of {} ({})", facts.physical->bdf.str(),
                            driver.empty() ? "no driver" : driver);
}

HostCheck reset(const DeviceFacts& facts) {
  if (!facts.resettable)
    return {"reset",
            Warn,
            "the device has no reset: the next guest finds the state that the last guest left",
            {}};
  const auto& methods = facts.function.reset_methods;
  return {
      "reset", Ok, methods.empty() ? "available" : fmt::format("{}", fmt::join(methods, ", ")), {}};
}

}  // namespace

const char* to_string(Answer answer) {
  switch (answer) {
    case Ok:
      return "ok";
    case No:
      return "no";
    case Warn:
      return "warn";
    case Unknown:
      break;
  }
  return "unknown";
}

std::vector<HostCheck> check_host(const HostFacts& facts, const DeviceFacts* device) {
  const std::string not_needed = other_way(facts, device);
  return {
      iommu(facts),
      remapping(facts),
      module("vfio", facts.vfio, "vfio-pci"),
      unless(not_needed, module("vfio_iommu_type1", facts.vfio_iommu_type1, "vfio_iommu_type1")),
      module("vfio_pci", facts.vfio_pci, "vfio-pci"),
      unless(not_needed, container(facts)),
      locked_memory(facts),
      iommufd(facts)};
}

std::vector<HostCheck> check_device(const Result<DeviceFacts>& facts, const HostFacts& host) {
  if (!facts) return {{"device", No, facts.error().cause, facts.error().advice}};
  std::vector<HostCheck> checks = {{"device", Ok, identity(*facts), {}},
                                   in_use(*facts),
                                   driver(*facts),
                                   group(*facts),
                                   unless(other_way(host, &*facts), group_node(*facts)),
                                   reset(*facts)};
  if (!silence_of(facts->function).empty()) checks.push_back(answers(*facts));
  if (!facts->held_bars.empty()) checks.push_back(bar_holders(*facts));
  if (!facts->direct_regions.empty()) checks.push_back(reserved_memory(*facts));
  if (!facts->cdev.empty()) checks.push_back(cdev(*facts));
  if (facts->physical && facts->physical->on_vfio) checks.push_back(vf_token(*facts));
  return checks;
}

bool is_ready(const std::vector<HostCheck>& checks) {
  return std::none_of(checks.begin(), checks.end(),
                      [](const HostCheck& check) { return check.answer == No; });
}

}  // namespace passthru
