// SPDX-License-Identifier: MIT
// The common parts of `bind` and `unbind`: the arguments, one plan for several devices, which is
// carried out as a whole or not at all, and the report.
#pragma once

#include <CLI/CLI.hpp>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "pci/bdf.h"
#include "pci/sysfs.h"
#include "prepare/binding.h"
#include "prepare/change_plan.h"
#include "prepare/kernel_modules.h"
#include "prepare/persistent_binding.h"
#include "prepare/vfio_users.h"
#include "tools/json.h"

namespace passthru::tools {

/// The machine that the commands change. Tests replace its parts.
struct RebindHost {
  Sysfs sysfs{};
  std::filesystem::path root = "/";  ///< of proc, dev and etc
  std::filesystem::path records = "/run/passthru";
  KernelModules modules{};
  ApplyChange apply{};
  TryGroup try_group{};

  [[nodiscard]] Binding binding() const { return Binding(sysfs, records, modules); }
  [[nodiscard]] PersistentBinding persistence() const { return PersistentBinding(root); }
};

/// Returns this machine. Its changes are made by `apply_visibly`.
RebindHost this_host();

struct RebindOptions {
  std::vector<std::string> devices{};
  bool whole_groups = false;  ///< and all other devices of their IOMMU groups
  bool dry_run = false;
  bool json = false;
};

struct BindOptions : RebindOptions {
  std::string driver{};  ///< a VFIO driver for the named devices; empty: vfio-pci
  bool force = false;    ///< also takes devices in use
  bool persist = false;  ///< keeps the binding over a boot
};

/// The differences between the commands.
struct Rebinding {
  std::function<Result<std::vector<Bdf>>(Bdf)> group_of{};  ///< for --group
  std::function<Result<ChangePlan>(Bdf)> plan_for{};
  /// Returns members of the device in the JSON document; the device is as it is after the changes.
  std::function<Json(const PciFunction&)> members{};
  /// Returns lines for people, each with an indent and without a newline.
  std::function<std::vector<std::string>(const PciFunction&)> notes{};
  /// Checks the result.
  std::function<Result<void>(const PciFunction&)> check{};
};

/// Adds the arguments to `command`. Parsing fills the options.
void add_rebind_options(CLI::App& command, RebindOptions& options);

/// Plans each device, carries out all plans as one, and prints the new driver of each device.
/// Returns the exit status.
int rebind(const RebindHost& host, const RebindOptions& options, const Rebinding& rebinding);

/// The two commands. Return the exit status.
int bind_devices(const RebindHost& host, const BindOptions& options);
int unbind_devices(const RebindHost& host, const RebindOptions& options);

}  // namespace passthru::tools
