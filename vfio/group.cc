// SPDX-License-Identifier: MIT
#include "vfio/group.h"

#include <fmt/format.h>

#include <functional>
#include <string>

namespace passthru {
namespace {

tl::unexpected<Error> refuse(int code, Bdf bdf, std::string cause, std::string advice) {
  return tl::unexpected(Error{.code = code,
                              .operation = "assign the device",
                              .device = bdf.str(),
                              .cause = std::move(cause),
                              .advice = std::move(advice)});
}

// Returns the functions of the group for which `wanted` holds, without bridges.
Result<std::vector<Bdf>> chosen_members(
    const Sysfs& sysfs, Bdf bdf, const std::function<bool(Bdf, const GroupMember&)>& wanted) {
  const PciFunction function = PASSTHRU_TRY(bindable_function(sysfs, bdf));
  std::vector<Bdf> functions;
  for (const GroupMember& member : PASSTHRU_TRY(sysfs.group(*function.iommu_group))) {
    const auto address = Bdf::parse(member.name);  // not every member is a PCI function
    if (address && !member.bridge && wanted(*address, member)) functions.push_back(*address);
  }
  return functions;
}

// `passthru bind` takes only PCI functions that are no bridges. The other members can only lose
// their drivers.
std::string how_to_free(uint32_t group, const std::vector<GroupMember>& blocking) {
  std::string bind;
  std::string unbind;
  for (const GroupMember& member : blocking) {
    if (Bdf::parse(member.name) && !member.bridge) {
      bind += " " + member.name;
    } else {
      unbind += fmt::format("{}'echo {} > /sys/kernel/iommu_groups/{}/devices/{}/driver/unbind'",
                            unbind.empty() ? "" : ", ", member.name, group, member.name);
    }
  }
  std::string ways;
  if (!bind.empty())
    ways = fmt::format("Bind every device of the group: 'passthru bind{}'. ", bind);
  if (!unbind.empty()) ways += fmt::format("Unbind their drivers: {}. ", unbind);
  return ways + "Or move the device to another slot";
}

}  // namespace

bool blocks_group(const GroupMember& member) {
  // The drivers with driver_managed_dma set (drivers/pci/pcie/portdrv.c, drivers/pci/pci-stub.c).
  return !member.driver.empty() && !member.on_vfio && member.driver != "pcieport" &&
         member.driver != "pci-stub";
}

Result<std::vector<GroupMember>> blocking_members(const Sysfs& sysfs, uint32_t group) {
  std::vector<GroupMember> members = PASSTHRU_TRY(sysfs.group(group));
  std::erase_if(members, [](const GroupMember& member) { return !blocks_group(member); });
  return members;
}

Result<PciFunction> bindable_function(const Sysfs& sysfs, Bdf bdf) {
  PciFunction function = PASSTHRU_TRY(sysfs.function(bdf));
  if (function.bridge) {
    return refuse(EINVAL, bdf, "it is a bridge", "Assign the devices behind it instead");
  }
  if (const auto vmd = sysfs.vmd_of(bdf)) {
    return refuse(
        ENOTSUP, bdf,
        fmt::format("it is behind the VMD {}, through which its DMA and interrupts go", vmd->str()),
        fmt::format("Assign {} with everything behind it, or turn VMD off in the firmware",
                    vmd->str()));
  }
  if (!function.iommu_group) {
    if (sysfs.has_iommu()) {
      return refuse(ENODEV, bdf, "no IOMMU translates its DMA",
                    "Only devices behind an IOMMU can be assigned");
    }
    return refuse(ENODEV, bdf, "no IOMMU",
                  "Enable VT-d or AMD-Vi in the firmware; for VT-d, also boot Linux with "
                  "intel_iommu=on");
  }
  return function;
}

Result<std::vector<Bdf>> functions_to_bind(const Sysfs& sysfs, Bdf bdf) {
  return chosen_members(sysfs, bdf, [&](Bdf address, const GroupMember& member) {
    return address == bdf || member.on_vfio || blocks_group(member);
  });
}

Result<std::vector<Bdf>> functions_of_group(const Sysfs& sysfs, Bdf bdf) {
  return chosen_members(sysfs, bdf, [](Bdf, const GroupMember&) { return true; });
}

Result<uint32_t> assignable_group(const Sysfs& sysfs, Bdf bdf) {
  const PciFunction function = PASSTHRU_TRY(bindable_function(sysfs, bdf));
  if (!function.on_vfio) {
    return refuse(ENODEV, bdf,
                  function.driver.empty()
                      ? "not bound to vfio-pci"
                      : fmt::format("bound to {}, not to vfio-pci", function.driver),
                  fmt::format("Bind it with 'passthru bind {}'", bdf.str()));
  }
  const std::vector<GroupMember> blocking =
      PASSTHRU_TRY(blocking_members(sysfs, *function.iommu_group));
  if (!blocking.empty()) {
    std::string named;
    for (const GroupMember& member : blocking) {
      named += fmt::format("{}{} ({})", named.empty() ? "" : ", ", member.name, member.driver);
    }
    return refuse(EPERM, bdf,
                  fmt::format("its IOMMU group {} is shared with {}", *function.iommu_group, named),
                  how_to_free(*function.iommu_group, blocking));
  }
  return *function.iommu_group;
}

}  // namespace passthru
