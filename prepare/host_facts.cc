// SPDX-License-Identifier: MIT
// A fact that cannot be read is unknown, never an error.
#include "prepare/host_facts.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <sstream>

#include "base/small_file.h"
#include "pci/iomem.h"
#include "prepare/vfio_users.h"
#include "vfio/group.h"
#include "vfio/unsafe_interrupts.h"

namespace passthru {
namespace {

namespace fs = std::filesystem;

// Calls access(2) for the effective ids, which open(2) uses.
int access_errno(const fs::path& node) {
  return ::faccessat(AT_FDCWD, node.c_str(), R_OK | W_OK, AT_EACCESS) == 0 ? 0 : errno;
}

bool is_there(const fs::path& path) {
  std::error_code error;
  return fs::exists(path, error);
}

// With interrupt remapping, Linux's x86 interrupt domains put "IR-" before the names of their chips
// (IR-IO-APIC, IR-PCI-MSI). Without it, the same chips have their plain names.
std::optional<bool> interrupt_remapping(const fs::path& proc) {
  constexpr size_t kEnough = size_t{1} << 20;  // the first lines are the IOAPIC's
  std::istringstream words(read_file(proc / "interrupts", kEnough).value_or(std::string()));
  bool plain = false;
  for (std::string word; words >> word;) {
    if (word.starts_with("IR-IO-APIC") || word.starts_with("IR-PCI-MSI")) return true;
    plain = plain || word.starts_with("IO-APIC") || word.starts_with("PCI-MSI");
  }
  return plain ? std::optional(false) : std::nullopt;
}

// Type1 checks CAP_IPC_LOCK before the limit.
std::optional<uint64_t> lockable(const fs::path& proc) {
  constexpr unsigned kCapIpcLock = 14;  // linux/capability.h
  std::istringstream words(read_file(proc / "self/status", 16384).value_or(std::string()));
  for (std::string word; words >> word;) {
    if (word != "CapEff:" || !(words >> word)) continue;
    uint64_t capabilities = 0;
    const auto [stop, error] =
        std::from_chars(word.data(), word.data() + word.size(), capabilities, 16);
    if (error == std::errc{} && (capabilities >> kCapIpcLock & 1) != 0) return UINT64_MAX;
  }
  rlimit limit{};
  if (::getrlimit(RLIMIT_MEMLOCK, &limit) != 0) return std::nullopt;
  return limit.rlim_cur == RLIM_INFINITY ? UINT64_MAX : uint64_t{limit.rlim_cur};
}

std::optional<bool> unsafe_interrupts(const fs::path& sys) {
  const auto allowed = unsafe_interrupts_allowed(sys, Backend::Group);
  return allowed ? std::optional(*allowed) : std::nullopt;
}

/// Returns whether a resource in a BAR is not the work of the device's driver: such a driver is
/// there, and the name is not that of a boot display.
bool is_drivers(const PciFunction& function, const std::string& name) {
  if (function.on_vfio || function.driver.empty()) return false;
  return name != "BOOTFB" && name != "efifb" && name != "vesafb" && name != "simplefb";
}

std::vector<HeldBar> held_bars(const HostRoots& roots, const PciFunction& function) {
  constexpr size_t kEnough = size_t{1} << 20;
  std::vector<HeldBar> held;
  const auto iomem = read_file(roots.proc / "iomem", kEnough);
  const auto resource = read_file(Sysfs(roots.sys).function_path(function.bdf) / "resource");
  if (!iomem || !resource) return held;
  for (unsigned bar = 0; bar < 6; ++bar) {
    const auto range = bar_range(*resource, bar);
    if (!range) continue;
    auto holders = bar_holders(*iomem, function.bdf, *range);
    std::erase_if(holders, [&](const std::string& name) { return is_drivers(function, name); });
    if (!holders.empty()) held.push_back({bar, std::move(holders)});
  }
  return held;
}

}  // namespace

HostFacts host_facts(const HostRoots& roots) {
  const Sysfs sysfs(roots.sys);
  const auto groups = names_in(roots.sys / "kernel/iommu_groups");
  return HostFacts{
      .iommu_groups = groups ? groups->size() : 0,
      .interrupt_remapping = interrupt_remapping(roots.proc),
      .unsafe_interrupts = unsafe_interrupts(roots.sys),
      // A built-in module without parameters has no directory in /sys/module.
      .vfio = is_there(roots.sys / "module/vfio") || is_there(roots.sys / "class/vfio"),
      .vfio_iommu_type1 = is_there(roots.sys / "module/vfio_iommu_type1"),
      .vfio_pci = sysfs.has_driver("vfio-pci"),
      .container_errno = access_errno(roots.dev / "vfio/vfio"),
      .lockable = lockable(roots.proc),
      .iommufd = is_there(roots.dev / "iommu"),
      .iommufd_errno = access_errno(roots.dev / "iommu")};
}

Result<DeviceFacts> device_facts(const HostRoots& roots, Bdf bdf) {
  const Sysfs sysfs(roots.sys);
  DeviceFacts facts{.function = PASSTHRU_TRY(bindable_function(sysfs, bdf))};
  if (const auto& physical = facts.function.physical_function)
    facts.physical = PASSTHRU_TRY(sysfs.function(*physical));
  const uint32_t group = *facts.function.iommu_group;
  facts.blocking = PASSTHRU_TRY(blocking_members(sysfs, group));
  std::erase_if(facts.blocking, [&](const GroupMember& each) { return each.name == bdf.str(); });
  // Kernels before 5.15 have only `reset`, and only if the device has a reset method.
  facts.resettable =
      !facts.function.reset_methods.empty() || is_there(sysfs.function_path(bdf) / "reset");
  facts.uses = facts.function.on_vfio ? vfio_uses(sysfs, roots.proc, bdf)
                                      : device_uses(sysfs, roots.proc, bdf);
  facts.sees_all_processes = ::geteuid() == 0;
  facts.held_bars = held_bars(roots, facts.function);
  facts.direct_regions = direct_regions(sysfs, group);
  facts.cdev = sysfs.cdev(bdf);
  if (!facts.cdev.empty()) facts.cdev_errno = access_errno(roots.dev / "vfio/devices" / facts.cdev);
  facts.group_errno = access_errno(roots.dev / "vfio" / std::to_string(group));
  return facts;
}

}  // namespace passthru
