// SPDX-License-Identifier: MIT
#include "prepare/vfio_users.h"

#include <fmt/format.h>

#include <string>
#include <vector>

#include "base/small_file.h"
#include "prepare/open_files.h"

namespace passthru {
namespace {

namespace fs = std::filesystem;

std::vector<DeviceNode> vfio_nodes(const Sysfs& sysfs, const PciFunction& function) {
  std::vector<DeviceNode> nodes;
  const std::string group = std::to_string(function.iommu_group.value_or(0));
  nodes.push_back({.name = "/dev/vfio/" + group,
                   .file = "vfio/" + group,
                   .number = first_line(sysfs.root() / "class/vfio" / group / "dev")});
  if (const std::string cdev = sysfs.cdev(function.bdf); !cdev.empty()) {
    const fs::path directory = sysfs.function_path(function.bdf) / "vfio-dev" / cdev;
    nodes.push_back({.name = "/dev/vfio/devices/" + cdev,
                     .file = "vfio/devices/" + cdev,
                     .number = first_line(directory / "dev")});
  }
  return nodes;
}

// The processes with a descriptor of VFIO's devices. A descriptor has no name; since Linux 6.18 its
// fdinfo has the path of the device in sysfs.
struct DescriptorHolders {
  std::vector<int> of_device{};
  std::vector<int> of_unknown_devices{};
};

void note(const OpenFile& file, const std::string& bdf, DescriptorHolders& holders) {
  constexpr std::string_view kKey = "vfio-device-syspath:";
  const std::string info = read_file(file.fdinfo).value_or(std::string());
  const size_t key = info.find(kKey);
  std::vector<int>& pids = key == info.npos ? holders.of_unknown_devices : holders.of_device;
  if (key != info.npos) {
    const std::string line = info.substr(key, info.find('\n', key) - key);
    if (line.substr(line.rfind('/') + 1) != bdf) return;
  }
  if (pids.empty() || pids.back() != file.pid) pids.push_back(file.pid);
}

Result<DescriptorHolders> find_descriptors(const fs::path& proc, Bdf bdf) {
  DescriptorHolders holders;
  PASSTHRU_TRY(for_each_open_file(proc, [&](const OpenFile& file) {
    if (file.target == "anon_inode:[vfio-device]") note(file, bdf.str(), holders);
  }));
  return holders;
}

Error used(Bdf bdf, std::string cause, std::string advice) {
  return {.code = EBUSY,
          .operation = "unbind the device",
          .device = bdf.str(),
          .cause = std::move(cause),
          .advice = std::move(advice)};
}

// `what` is what each process does: "has the device open".
std::vector<DeviceUse> uses_by(const std::vector<Process>& processes, const std::string& what) {
  std::vector<DeviceUse> uses;
  uses.reserve(processes.size());
  for (const Process& process : processes) {
    uses.push_back({process.str() + " " + what, process.remedy()});
  }
  return uses;
}

Error used_by(Bdf bdf, const std::vector<DeviceUse>& uses) {
  std::vector<std::string> named;
  std::vector<std::string> ways;
  for (const DeviceUse& use : uses) {
    named.push_back(use.what);
    if (!use.remedy.empty()) ways.push_back("'" + use.remedy + "'");
  }
  return used(bdf, first_few(named),
              ways.empty() ? "End the guest first"
                           : fmt::format("End the guest first: {}", first_few(ways)));
}

std::vector<Process> described(const fs::path& proc, const std::vector<int>& pids) {
  std::vector<Process> processes;
  processes.reserve(pids.size());
  for (const int pid : pids) processes.push_back(describe_process(proc, pid));
  return processes;
}

// The uses by known processes, and the processes whose VFIO devices are unknown.
struct VfioUsers {
  std::vector<DeviceUse> uses{};
  std::vector<int> of_unknown_devices{};
};

Result<VfioUsers> find_users(const Sysfs& sysfs, const fs::path& proc,
                             const PciFunction& function) {
  const std::string name = function.bdf.str();
  DescriptorHolders holders = PASSTHRU_TRY(find_descriptors(proc, function.bdf).on(name));
  if (!holders.of_device.empty())
    return VfioUsers{uses_by(described(proc, holders.of_device), "has the device open"), {}};
  const auto open = PASSTHRU_TRY(find_open_nodes(proc, vfio_nodes(sysfs, function)).on(name));
  if (open.empty()) return VfioUsers{{}, std::move(holders.of_unknown_devices)};
  const OpenNode& node = open.back();  // rather the device's own than the group's
  return VfioUsers{uses_by(node.processes, "has " + node.node.name + " open"), {}};
}

// The group is busy, and no process in `proc` is known to have it.
Error used_by_unknown(const fs::path& proc, const PciFunction& function,
                      const std::vector<int>& candidates) {
  const std::string busy =
      fmt::format("another process uses IOMMU group {}", *function.iommu_group);
  if (candidates.empty()) {
    return used(function.bdf, busy + ", and /proc does not show which",
                "End the guest that has it. It may run in a container with processes of its own");
  }
  std::vector<std::string> named;
  for (const Process& process : described(proc, candidates)) named.push_back(process.str());
  return used(function.bdf,
              fmt::format("{}; these have devices of VFIO open: {}", busy, first_few(named)),
              "End the guest that has it");
}

}  // namespace

Result<std::vector<DeviceUse>> vfio_uses(const Sysfs& sysfs, const fs::path& proc, Bdf bdf) {
  const PciFunction function = PASSTHRU_TRY(sysfs.function(bdf));
  if (!function.on_vfio || !function.iommu_group) return std::vector<DeviceUse>();
  return PASSTHRU_TRY(find_users(sysfs, proc, function)).uses;
}

Result<void> require_no_vfio_user(const Sysfs& sysfs, const fs::path& proc, Bdf bdf,
                                  const TryGroup& try_group) {
  const PciFunction function = PASSTHRU_TRY(sysfs.function(bdf));
  if (!function.on_vfio || !function.iommu_group) return {};
  const VfioUsers users = PASSTHRU_TRY(find_users(sysfs, proc, function));
  if (!users.uses.empty()) return tl::unexpected(used_by(bdf, users.uses));
  const auto group = try_group(*function.iommu_group);
  if (group || group.error().code != EBUSY) return {};
  return tl::unexpected(used_by_unknown(proc, function, users.of_unknown_devices));
}

}  // namespace passthru
