// SPDX-License-Identifier: MIT
// The common parts of `bind` and `unbind`: the arguments, one plan for several devices, which is
// carried out as a whole or not at all, and the report.
#pragma once

#include <CLI/CLI.hpp>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "pci/bdf.h"
#include "pci/sysfs.h"
#include "prepare/change_plan.h"

namespace passthru::tools {

struct RebindOptions {
  std::vector<std::string> devices{};
  bool whole_groups = false;  ///< and all other devices of their IOMMU groups
  bool dry_run = false;
  bool json = false;
};

/// Adds the arguments to `command`. Parsing fills the returned options.
std::shared_ptr<RebindOptions> add_rebind_options(CLI::App& command);

/// Plans each device, carries out all plans as one, and prints the new driver of each device.
/// Returns the exit status.
int rebind(const Sysfs& sysfs, const RebindOptions& options,
           const std::function<Result<ChangePlan>(Bdf)>& plan_for);

}  // namespace passthru::tools
