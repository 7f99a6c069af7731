// SPDX-License-Identifier: MIT
// The order of the writes matters. The driver core matches a device that has a driver_override only
// with that driver. So `bind` sets the override before the old driver leaves: no other driver can
// take the device in between. The former override returns before the former driver.
//
// The file of the record is written first and removed last. Every state in between is one that the
// next call recognizes: a record and no driver, or a record and the override that `bind` set.
#include "prepare/binding.h"

#include <fmt/format.h>

#include <optional>
#include <string>
#include <vector>

#include "base/small_file.h"
#include "vfio/group.h"

namespace passthru {
namespace {

namespace fs = std::filesystem;

FileChange write(fs::path file, std::string value) {
  return {FileChange::Kind::Write, std::move(file), std::move(value)};
}

FileChange create_file(fs::path file, std::string content) {
  return {FileChange::Kind::Create, std::move(file), std::move(content)};
}

FileChange remove_file(fs::path file) {
  return {FileChange::Kind::Remove, std::move(file), {}};
}

// vfio-pci refuses this too, but only after the driver that serves the virtual functions is
// unbound.
Error has_virtual_functions(const Sysfs& sysfs, const PciFunction& function) {
  return Error{
      .code = EBUSY,
      .operation = "bind to vfio-pci",
      .device = function.bdf.str(),
      .cause = fmt::format("{} virtual functions depend on the device and its driver",
                           function.virtual_functions->enabled),
      .advice = fmt::format(
          "Assign the virtual functions, or remove them when nothing uses them: 'echo 0 > {}'",
          (sysfs.function_path(function.bdf) / "sriov_numvfs").string())};
}

// Returns the record if it can be read and belongs to the device in the slot.
std::optional<BindingRecord> valid_record(const Result<std::optional<BindingRecord>>& read,
                                          const PciFunction& function) {
  if (!read || !*read || !(*read)->is_of(function)) return std::nullopt;
  return **read;
}

// Returns the state that an `unbind` must restore after a bind to `vfio_driver`.
BindingRecord state_before(const PciFunction& function, const std::optional<BindingRecord>& kept,
                           const std::string& vfio_driver) {
  BindingRecord state{.vendor = function.vendor,
                      .device = function.device,
                      .vfio_driver = vfio_driver,
                      .driver = function.driver,
                      .driver_override = function.driver_override};
  const bool without_host_driver = function.on_vfio || function.driver.empty();
  if (kept && without_host_driver) {  // an earlier bind was killed, or bound another VFIO driver
    state.driver = kept->driver;
    state.driver_override = kept->driver_override;
  } else if (kept && kept->may_have_set_override_of(function)) {
    state.driver_override = kept->driver_override;
  } else if (function.on_vfio || is_vfio_name(function.driver_override)) {
    // The override is of another program, and keeps the host driver away.
    if (without_host_driver) state.driver.reset();
    state.driver_override.clear();
  }
  return state;
}

// Returns the writes after which `driver` has the device and `driver_override` is set. An override
// that names another driver must be absent while the driver is bound.
std::vector<FileChange> give_to(const Sysfs& sysfs, Bdf bdf, const std::string& driver,
                                const std::string& driver_override) {
  const fs::path file = sysfs.function_path(bdf) / "driver_override";
  const FileChange bind = write(sysfs.driver_path(driver) / "bind", bdf.str());
  if (driver_override.empty() || driver_override == driver)
    return {write(file, driver_override), bind};
  return {write(file, ""), bind, write(file, driver_override)};
}

// The parts of a plan of `unbind`.
class Restoration {
 public:
  Restoration(const Sysfs& sysfs, const PciFunction& function, const BindingRecord& before)
      : sysfs_(sysfs), function_(function), before_(before), override_(function.driver_override) {}

  void leave_vfio() {
    const fs::path vfio = sysfs_.driver_path(function_.driver);
    add(write(vfio / "unbind", name()), {write(vfio / "bind", name())});
  }
  void set_override(const std::string& wanted) {
    if (override_ == wanted) return;
    const fs::path file = sysfs_.function_path(function_.bdf) / "driver_override";
    add(write(file, wanted), {write(file, override_)});
    override_ = wanted;
  }
  void return_driver() {
    if (!before_.driver) {
      // The undo goes through the device: the driver that the kernel will choose is not known yet.
      set_override(before_.driver_override);
      add(write(sysfs_.bus_path() / "drivers_probe", name()),
          {write(sysfs_.function_path(function_.bdf) / "driver/unbind", name())});
      return;
    }
    if (!before_.driver->empty()) {
      const bool fits =
          before_.driver_override.empty() || before_.driver_override == *before_.driver;
      set_override(fits ? before_.driver_override : "");
      const fs::path driver = sysfs_.driver_path(*before_.driver);
      add(write(driver / "bind", name()), {write(driver / "unbind", name())});
    }
    set_override(before_.driver_override);
  }
  void add(PlannedChange change) { plan_.push_back(std::move(change)); }
  void add(FileChange change, std::vector<FileChange> undo) {
    add({std::move(change), std::move(undo), name()});
  }
  [[nodiscard]] ChangePlan plan() && { return std::move(plan_); }

 private:
  [[nodiscard]] std::string name() const { return function_.bdf.str(); }

  const Sysfs& sysfs_;
  const PciFunction& function_;
  const BindingRecord& before_;
  std::string override_;  // after the planned changes
  ChangePlan plan_;
};

}  // namespace

Result<ChangePlan> Binding::bind(Bdf bdf, const std::string& driver) const {
  const PciFunction function = PASSTHRU_TRY(bindable_function(sysfs_, bdf));
  if (keeps_driver(function, driver)) return ChangePlan{};
  if (function.virtual_functions && function.virtual_functions->enabled != 0)
    return tl::unexpected(has_virtual_functions(sysfs_, function));
  const std::string vfio_driver = PASSTHRU_TRY(find_vfio_driver(function, driver));

  const std::string name = bdf.str();
  const auto read = read_binding_record(record_of(bdf)).on(name);
  // A record of an unknown form says nothing. A new record replaces it.
  if (!read && read.error().code != EINVAL) return tl::unexpected(read.error());
  const auto kept = valid_record(read, function);
  const BindingRecord before = state_before(function, kept, vfio_driver);
  const fs::path override_file = sysfs_.function_path(bdf) / "driver_override";
  const fs::path vfio = sysfs_.driver_path(vfio_driver);

  ChangePlan plan;
  if (kept != before)
    plan.push_back(PASSTHRU_TRY(content_change(record_of(bdf), before.text(), name)));
  if (function.driver_override != vfio_driver) {
    plan.push_back({write(override_file, vfio_driver),
                    {write(override_file, function.driver_override)},
                    name});
  }
  if (!function.driver.empty()) {
    plan.push_back({write(sysfs_.driver_path(function.driver) / "unbind", name),
                    give_to(sysfs_, bdf, function.driver, function.driver_override), name});
  }
  plan.push_back({write(vfio / "bind", name), {write(vfio / "unbind", name)}, name});
  return plan;
}

Result<ChangePlan> Binding::unbind(Bdf bdf) const {
  const PciFunction function = PASSTHRU_TRY(sysfs_.function(bdf));
  const fs::path file = record_of(bdf);
  const auto read = read_binding_record(file).on(bdf.str());
  if (!read) return tl::unexpected(read.error());
  const auto kept = valid_record(read, function);
  const bool without_driver = function.driver.empty();
  const bool left_by_others = without_driver && is_vfio_name(function.driver_override);
  if (!function.on_vfio && !kept && !left_by_others) return ChangePlan{};

  // Without a record, a new record says that a driver must be found, in case this is interrupted.
  const BindingRecord before = kept.value_or(
      BindingRecord{.vendor = function.vendor,
                    .device = function.device,
                    .vfio_driver = function.on_vfio ? function.driver : function.driver_override});
  const bool to_be_returned = function.on_vfio || without_driver;
  if (const std::string& driver = before.driver.value_or("");
      to_be_returned && !driver.empty() && !sysfs_.has_driver(driver)) {
    return tl::unexpected(former_driver_missing(function, driver));
  }

  Restoration restoration(sysfs_, function, before);
  if (!kept) restoration.add(PASSTHRU_TRY(content_change(file, before.text(), bdf.str())));
  if (function.on_vfio) restoration.leave_vfio();
  if (to_be_returned) {
    restoration.return_driver();
  } else if (before.may_have_set_override_of(function)) {
    restoration.set_override(before.driver_override);
  }
  restoration.add(remove_file(file), {create_file(file, before.text())});
  return std::move(restoration).plan();
}

}  // namespace passthru
