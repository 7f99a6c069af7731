// SPDX-License-Identifier: MIT
// The drivers of a binding: which VFIO driver is bound, and what to do if a driver is not loaded.
#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <vector>

#include "base/small_file.h"
#include "prepare/binding.h"

namespace passthru {
namespace {

constexpr const char* kVfioPci = "vfio-pci";

Error driver_missing(Bdf bdf, const std::string& driver, std::string cause, std::string advice) {
  return Error{.code = ENOENT,
               .operation = "find driver " + driver,
               .device = bdf.str(),
               .cause = std::move(cause),
               .advice = std::move(advice)};
}

}  // namespace

bool Binding::keeps_driver(const PciFunction& function, const std::string& driver) {
  return function.on_vfio && (driver.empty() || same_module(function.driver, driver));
}

// With an override, the kernel binds any driver to any device. So a host driver must be refused
// here.
bool Binding::may_serve(const PciFunction& function, const std::string& driver) const {
  const auto offered = modules_.serving(function, KernelModules::Alias::VfioPci);
  if (!offered) return is_vfio_name(driver);
  return std::any_of(offered->begin(), offered->end(),
                     [&](const std::string& each) { return same_module(each, driver); });
}

Result<std::string> Binding::driver_after_bind(const PciFunction& function,
                                               const std::string& driver) const {
  if (keeps_driver(function, driver)) return function.driver;
  return find_vfio_driver(function, driver);
}

Result<std::string> Binding::find_vfio_driver(const PciFunction& function,
                                              const std::string& wanted) const {
  const std::string driver = wanted.empty() ? kVfioPci : wanted;
  const bool variant = !same_module(driver, kVfioPci);
  constexpr const char* kUseVfioPci = "Use --driver vfio-pci, which serves every device";
  if (variant && !may_serve(function, driver)) {
    const std::string made_for_it = modules_.variant_driver(function);
    return tl::unexpected(
        Error{.code = EINVAL,
              .operation = "bind to " + driver,
              .device = function.bdf.str(),
              .cause = fmt::format("it is not a VFIO driver for {:04x}:{:04x}", function.vendor,
                                   function.device),
              .advice = made_for_it.empty()
                            ? kUseVfioPci
                            : fmt::format("Use --driver {}, or --driver vfio-pci", made_for_it)});
  }
  const auto named = [&](const std::string& each) { return same_module(each, driver); };
  const auto drivers = names_in(sysfs_.bus_path() / "drivers").value_or(std::vector<std::string>());
  const auto loaded = std::find_if(drivers.begin(), drivers.end(), named);
  if (loaded != drivers.end()) return *loaded;
  if (modules_.has(driver).value_or(true)) {
    return tl::unexpected(driver_missing(function.bdf, driver, "the driver is not loaded",
                                         fmt::format("Load it with 'modprobe {}'", driver)));
  }
  return tl::unexpected(driver_missing(
      function.bdf, driver, "the driver is not loaded, and this kernel has no module of that name",
      variant ? kUseVfioPci : "Boot a kernel with CONFIG_VFIO_PCI"));
}

// A driver need not have the name of its module: i801_smbus is in i2c_i801.
Error Binding::former_driver_missing(const PciFunction& function, const std::string& driver) const {
  const auto modules = modules_.serving(function, KernelModules::Alias::Pci);
  const bool known =
      modules && std::any_of(modules->begin(), modules->end(),
                             [&](const auto& each) { return same_module(each, driver); });
  std::string advice;
  if (!modules || known || (modules->empty() && modules_.has(driver).value_or(true))) {
    advice = fmt::format("Load it with 'modprobe {}'", driver);
  } else if (!modules->empty()) {
    advice =
        fmt::format("Load the modules of the device: 'modprobe -a {}'", fmt::join(*modules, " "));
  } else {
    advice = fmt::format(
        "This kernel has no module for it. Remove {}; the kernel then chooses a "
        "driver",
        record_of(function.bdf).string());
  }
  return driver_missing(function.bdf, driver, "the device's former driver is no longer loaded",
                        std::move(advice));
}

}  // namespace passthru
