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

/// Returns the check of a node that does not open. The operation of `error` is the node.
HostCheck not_openable(const char* name, const Error& error) {
  const std::string cause =
      error.cause.empty() ? std::generic_category().message(error.code) : error.cause;
  HostCheck check{name, No, fmt::format("{} cannot be opened: {}", error.operation, cause),
                  error.advice};
  if (error.code == EACCES) {
    check.remedy = "Run as root, or give this user the node";
    check.commands = {fmt::format("chown \"$USER\" {}", error.operation)};
  }
  return check;
}

/// Returns the check of a missing node of a device that is on VFIO.
HostCheck no_node(const char* name, const std::string& node) {
  return {name, No, fmt::format("{} does not exist, although the device is on VFIO", node),
          "Show the node in this container, or use a kernel that has it"};
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
  return {"iommu", No, "there is no IOMMU group: the IOMMU is off, or the machine has no IOMMU",
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
  return {kName, No, "interrupt remapping is off: a guest could forge interrupts of the host",
          refused.advice};
}

HostCheck module(const char* name, bool there, const char* probe) {
  if (there) return {name, Ok, "loaded or built in", {}};
  return {name,
          No,
          fmt::format("the module {} is not loaded", name),
          {},
          {fmt::format("modprobe {}", probe)}};
}

HostCheck container(const HostFacts& facts) {
  if (facts.container_errno == 0)
    return {"container", Ok, "/dev/vfio/vfio may be opened by this user", {}};
  Error error{.code = facts.container_errno, .operation = "/dev/vfio/vfio"};
  HostCheck check = not_openable("container", explain_container(std::move(error)));
  if (facts.container_errno == ENOENT || facts.container_errno == ENODEV) {
    check.remedy.clear();
    check.commands = {"modprobe vfio-pci"};
  }
  return check;
}

HostCheck locked_memory(const HostFacts& facts) {
  constexpr const char* kName = "locked_memory";
  if (!facts.lockable) return {kName, Unknown, "RLIMIT_MEMLOCK cannot be read", {}};
  if (*facts.lockable == UINT64_MAX) return {kName, Ok, "unlimited", {}};
  // All pages of a guest are locked, because a device's DMA may reach any of them.
  return {kName,
          *facts.lockable < kMinGuest ? No : Warn,
          fmt::format("RLIMIT_MEMLOCK is {}, but all memory of a guest must be locked",
                      size_text(*facts.lockable)),
          "For a guest of 2 GiB, set LimitMEMLOCK=2G in the service's unit, or in this shell",
          {"prlimit --pid $$ --memlock=2147483648"}};
}

/// Returns the failed `check` of the way by node. It is only a warning, because the device can be
/// opened through its group.
HostCheck by_node(HostCheck check) {
  check.answer = Warn;
  check.remedy =
      "Use the group (--backend=group)" + (check.remedy.empty() ? "" : ". Or: " + check.remedy);
  return check;
}

HostCheck iommufd(const HostFacts& facts) {
  constexpr const char* kName = "iommufd";
  if (!facts.iommufd)
    return {kName, Ok, "/dev/iommu does not exist: devices are opened through their groups", {}};
  if (facts.iommufd_errno == 0) return {kName, Ok, "/dev/iommu may be opened by this user", {}};
  return by_node(not_openable(
      kName, explain_iommufd({.code = facts.iommufd_errno, .operation = "/dev/iommu"})));
}

HostCheck in_use(const DeviceFacts& facts) {
  constexpr const char* kName = "in_use";
  const bool on_vfio = facts.function.on_vfio;
  const auto& virtual_functions = facts.function.virtual_functions;
  if (!on_vfio && virtual_functions && virtual_functions->enabled != 0) {
    return {
        kName,
        No,
        fmt::format("{} virtual functions depend on the device and its driver",
                    virtual_functions->enabled),
        "Remove them",
        {fmt::format("echo 0 > /sys/bus/pci/devices/{}/sriov_numvfs", facts.function.bdf.str())}};
  }
  if (!facts.uses) {
    return {kName, Unknown, facts.uses.error().message(), {}};
  }
  if (facts.uses->empty() && !facts.sees_all_processes) {
    return {kName,
            Unknown,
            "no use is visible; root also sees the device nodes that other users' processes have "
            "open",
            {}};
  }
  if (facts.uses->empty())
    return {kName, Ok, on_vfio ? "no process has it open" : "the host does not use it", {}};
  std::vector<std::string> what;
  HostCheck check{kName, No, {}, on_vfio ? "End the guest" : ""};
  for (const DeviceUse& use : *facts.uses) {
    what.push_back(use.what);
    if (!use.remedy.empty()) check.commands.push_back(use.remedy);
  }
  check.what = first_few(what, "; ");
  return check;
}

/// Returns the commands that take the device and all that blocks its group from the host. `passthru
/// bind` takes only PCI functions that are no bridges; other members can only lose their drivers.
std::vector<std::string> bind_commands(const DeviceFacts& facts) {
  const std::string device = facts.function.bdf.str();
  std::vector<std::string> unbind;
  for (const GroupMember& member : facts.blocking) {
    if (Bdf::parse(member.name) && !member.bridge) continue;
    unbind.push_back(
        fmt::format("echo {0} > /sys/kernel/iommu_groups/{1}/devices/{0}/driver/unbind",
                    member.name, *facts.function.iommu_group));
  }
  std::vector<std::string> commands;
  if (unbind.size() < facts.blocking.size()) {
    commands.push_back("passthru bind --group " + device);
  } else if (!facts.function.on_vfio) {
    commands.push_back("passthru bind " + device);
  }
  commands.insert(commands.end(), unbind.begin(), unbind.end());
  return commands;
}

HostCheck driver(const DeviceFacts& facts) {
  const PciFunction& function = facts.function;
  if (function.on_vfio) return {"driver", Ok, function.driver, {}};
  return {"driver",
          No,
          function.driver.empty()
              ? "it is not bound to vfio-pci"
              : fmt::format("it is bound to {}, not to vfio-pci", function.driver),
          {},
          bind_commands(facts)};
}

HostCheck group(const DeviceFacts& facts) {
  const uint32_t number = *facts.function.iommu_group;
  if (facts.blocking.empty())
    return {"group", Ok, fmt::format("no other device blocks IOMMU group {}", number), {}};
  std::vector<std::string> named;
  for (const GroupMember& member : facts.blocking)
    named.push_back(fmt::format("{} ({})", member.name, member.driver));
  return {"group", No, fmt::format("IOMMU group {} is shared with {}", number, first_few(named)),
          "Move the device to another slot, or take the group from the host", bind_commands(facts)};
}

HostCheck group_node(const DeviceFacts& facts) {
  constexpr const char* kName = "group_node";
  const uint32_t number = *facts.function.iommu_group;
  const std::string node = fmt::format("/dev/vfio/{}", number);
  if (facts.group_errno == 0) return {kName, Ok, node + " may be opened by this user", {}};
  if (facts.group_errno == ENOENT && !facts.function.on_vfio)
    return {kName, Unknown, node + " appears when the device is bound", {}};
  if (facts.group_errno == ENOENT) return no_node(kName, node);
  Error error{.code = facts.group_errno, .operation = node};
  return not_openable(kName, explain_group(std::move(error), number));
}

HostCheck cdev(const DeviceFacts& facts) {
  constexpr const char* kName = "cdev";
  const std::string node = "/dev/vfio/devices/" + facts.cdev;
  if (facts.cdev_errno == 0) return {kName, Ok, node + " may be opened by this user", {}};
  if (facts.cdev_errno == ENOENT) return by_node(no_node(kName, node));
  return by_node(
      not_openable(kName, explain_cdev({.code = facts.cdev_errno, .operation = node}, facts.cdev)));
}

HostCheck answers(const DeviceFacts& facts) {
  return {"answers", No, silence_of(facts.function),
          "Turn the machine off and on, or reset the device's slot"};
}

// VFIO reads config space itself, so a guest may still get the device.
HostCheck config_space(const Error& error) {
  return {"config_space", Unknown, error.message(), {}};
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

std::string remedy_text(const HostCheck& check) {
  if (check.commands.empty()) return check.remedy;
  const std::string commands = fmt::format("'{}'", fmt::join(check.commands, "', '"));
  return check.remedy.empty() ? commands : check.remedy + ": " + commands;
}

std::vector<HostCheck> check_host(const HostFacts& facts, const DeviceFacts* device) {
  const std::string not_needed = other_way(facts, device);
  // If vfio is not loaded, modprobe loads this module with it (MODULE_SOFTDEP in vfio_main.c).
  const char* type1_probe = facts.vfio ? "vfio_iommu_type1" : "vfio-pci";
  return {iommu(facts),
          remapping(facts),
          module("vfio", facts.vfio, "vfio-pci"),
          unless(not_needed, module("vfio_iommu_type1", facts.vfio_iommu_type1, type1_probe)),
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
  if (facts->function.config_error) checks.push_back(config_space(*facts->function.config_error));
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
