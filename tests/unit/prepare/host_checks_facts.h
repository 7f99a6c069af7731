// SPDX-License-Identifier: MIT
// A host and a device that pass all checks, for tests that remove one thing, and the text of a
// check in one line.
#pragma once

#include <fmt/format.h>

#include <cstdint>
#include <string>
#include <vector>

#include "prepare/host_checks.h"

namespace passthru {

inline HostFacts ready_host() {
  return {.iommu_groups = 12,
          .interrupt_remapping = true,
          .unsafe_interrupts = false,
          .vfio = true,
          .vfio_iommu_type1 = true,
          .vfio_pci = true,
          .container_errno = 0,
          .lockable = UINT64_MAX,
          .iommufd = false};
}

inline DeviceFacts ready_device() {
  DeviceFacts facts;
  facts.function.bdf = Bdf{.device = 2};
  facts.function.vendor = 0x1b36;
  facts.function.device = 0x0010;
  facts.function.driver = "vfio-pci";
  facts.function.on_vfio = true;
  facts.function.iommu_group = 5;
  facts.function.reset_methods = {"flr", "bus"};
  facts.resettable = true;
  return facts;
}

inline std::string line(const HostCheck& check) {
  return fmt::format("{} {}: {} > {}", to_string(check.answer), check.name, check.what,
                     remedy_text(check));
}

inline std::string said_of(const std::vector<HostCheck>& checks, const std::string& name) {
  for (const HostCheck& check : checks) {
    if (check.name == name) return line(check);
  }
  return "not checked";
}

inline std::vector<std::string> answers(const std::vector<HostCheck>& checks) {
  std::vector<std::string> all;
  for (const HostCheck& check : checks)
    all.push_back(fmt::format("{} {}", to_string(check.answer), check.name));
  return all;
}

inline void give_to_host(DeviceFacts& facts) {
  facts.function.driver = "nvme";
  facts.function.on_vfio = false;
}

inline void give_physical(DeviceFacts& facts) {
  facts.physical = PciFunction{.bdf = {.device = 1}, .driver = "nvme"};
}

}  // namespace passthru
