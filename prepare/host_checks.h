// SPDX-License-Identifier: MIT
// Checks whether a machine is ready to assign devices: facts in, one line for each check out, with
// a remedy. Pure. `passthru doctor` prints them.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "pci/bdf.h"
#include "prepare/host_facts.h"

namespace passthru {

enum class Answer {
  Ok,
  No,       ///< a requirement is missing
  Warn,     ///< it works, with a drawback
  Unknown,  ///< cannot be determined; `what` says why
};

/// "ok", "no", "warn", "unknown".
const char* to_string(Answer answer);

/// A check and its result. Each text is short, on one line, without a full stop.
struct HostCheck {
  const char* name = "";  ///< for scripts: "iommu"; docs/json.md lists all names
  Answer answer = Answer::Unknown;
  std::string what{};    ///< what was found; if the answer is No, it can follow "because"
  std::string remedy{};  ///< an action, or what the commands are for; may be empty
  /// Commands of root that fix it, in this order. Each is complete.
  std::vector<std::string> commands{};
};

/// Returns the remedy and the commands as one text; empty if there is nothing to fix.
std::string remedy_text(const HostCheck& check);

// A device can be opened in two ways:
// - Through its group, which takes container, vfio_iommu_type1 and group_node. A failure is No; it
//   is Warn if /dev/iommu and the device's own node may be opened.
// - Through its own node, which takes iommufd and cdev. A failure is Warn: the group remains.
//
// A virtual function whose physical function is on VFIO is opened through its group
// (vfio/device_source).

/// Checks the machine: iommu, interrupt_remapping, vfio, vfio_iommu_type1, vfio_pci, container,
/// locked_memory, iommufd. Without a `device`, or before it is on VFIO, it is assumed to get a node
/// of its own. Nothing shows in advance whether the kernel has them (6.6 and later).
std::vector<HostCheck> check_host(const HostFacts& facts, const DeviceFacts* device = nullptr);

/// Checks a device: `device`; if it can be assigned at all, also in_use, driver, group, group_node
/// and reset. The checks answers, bar_holders, reserved_memory, cdev and vf_token are added if they
/// apply.
/// Without `host`, the machine counts as without iommufd.
std::vector<HostCheck> check_device(const Result<DeviceFacts>& facts, const HostFacts& host = {});

/// Returns whether no check is No.
bool is_ready(const std::vector<HostCheck>& checks);

}  // namespace passthru
