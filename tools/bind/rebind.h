// SPDX-License-Identifier: MIT
// Owns what `bind` and `unbind` have in common: their arguments, several devices, one plan, all or
// none of it, and the report.
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
  bool whole_groups = false;  ///< and what shares an IOMMU group with them
  bool dry_run = false;
  bool json = false;
};

/// The command's arguments, filled when it is called.
std::shared_ptr<RebindOptions> add_rebind_options(CLI::App& command);

/// Plans each device, carries all plans out as one, tells which driver each has now. Returns the
/// exit status.
int rebind(const Sysfs& sysfs, const RebindOptions& options,
           const std::function<Result<ChangePlan>(Bdf)>& plan_for);

}  // namespace passthru::tools
