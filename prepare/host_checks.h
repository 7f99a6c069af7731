// SPDX-License-Identifier: MIT
// Owns the judgement of a machine's readiness to assign devices: facts in, one line a check out,
// each with what mends it. Pure; `passthru doctor` prints them, and a VMM may.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "pci/bdf.h"
#include "prepare/host_facts.h"

namespace passthru {

enum class Answer {
  Ok,
  No,       ///< something that is needed is missing
  Warn,     ///< it works, and not as well as it could
  Unknown,  ///< it cannot be told; `what` says why
};

/// "ok", "no", "warn", "unknown".
const char* to_string(Answer answer);

/// One question and its answer. All texts are short, on one line, without a full stop.
struct HostCheck {
  const char* name = "";  ///< of the check, for scripts: "iommu"; docs/json.md lists them
  Answer answer = Answer::Unknown;
  std::string what{};    ///< what was found
  std::string remedy{};  ///< what to type or to look up; empty where there is nothing to mend
};

// There are two ways to a device: by its group, which takes container, vfio_iommu_type1 and
// group_node, and by its own node, which takes iommufd and cdev. What is missing of the group's
// way is No, and Warn where /dev/iommu and the device's own node may be opened. A virtual function
// whose owner is on VFIO is opened by its group (vfio/device_source). What is missing of the other
// way is Warn: there are groups.

/// For any device: iommu, interrupt_remapping, vfio, vfio_iommu_type1, vfio_pci, container,
/// locked_memory, iommufd. Where no `device` is given, or it is not on VFIO yet, it is taken to get
/// a node of its own: nothing tells beforehand whether the kernel has them (6.6 and later).
std::vector<HostCheck> check_host(const HostFacts& facts, const DeviceFacts* device = nullptr);

/// For this one: device, and if it could be assigned at all: in_use, driver, group, group_node,
/// reset; cdev and vf_token where there is such a thing. Without `host`, as if it had no iommufd.
std::vector<HostCheck> check_device(const Result<DeviceFacts>& facts, const HostFacts& host = {});

/// No check says No.
bool is_ready(const std::vector<HostCheck>& checks);

}  // namespace passthru
