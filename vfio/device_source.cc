// SPDX-License-Identifier: MIT
#include "vfio/device_source.h"

#include <fmt/format.h>

#include <utility>

#include "vfio/group.h"

namespace passthru {
namespace {

Error cannot(int code, Bdf bdf, std::string cause, std::string advice = {}) {
  return Error{.code = code,
               .operation = "open the device",
               .device = bdf == Bdf{} ? "" : bdf.str(),
               .cause = std::move(cause),
               .advice = std::move(advice)};
}

Result<void> check(const DeviceSource& source, Bdf bdf) {
  const bool cdev = static_cast<bool>(source.cdev);
  const bool group = static_cast<bool>(source.group);
  if (cdev && group) {
    return tl::unexpected(cannot(EINVAL, bdf, "both its own and its group's descriptor are given",
                                 "Pass one of them"));
  }
  if ((cdev && source.backend == Backend::Group) || (group && source.backend == Backend::Cdev)) {
    return tl::unexpected(cannot(EINVAL, bdf,
                                 fmt::format("its {} descriptor does not fit the requested backend",
                                             cdev ? "own" : "group's")));
  }
  return {};
}

/// Returns the function that the descriptor of a device's own node belongs to.
Result<Bdf> function_behind(Kernel& kernel, const Sysfs& sysfs, int cdev_fd) {
  const std::string number = PASSTHRU_TRY(kernel.device_number(cdev_fd));
  if (const auto bdf = sysfs.function_behind(number)) return *bdf;
  return tl::unexpected(
      cannot(EINVAL, {}, fmt::format("descriptor {} does not belong to a PCI device", cdev_fd),
             "Open the device's own node, /dev/vfio/devices/vfioN"));
}

/// Returns whether a VF token is in force and the group requires it. Before Linux 6.17 the device's
/// own node may not require it, and the token then protects nothing.
bool token_guards(const Sysfs& sysfs, Bdf bdf, uint32_t group) {
  const auto function = sysfs.function(bdf);
  if (!function || !function->physical_function) return false;
  const auto physical = sysfs.function(*function->physical_function);
  return physical && physical->on_vfio && sysfs.has_group_node(group);
}

}  // namespace

const char* to_string(Backend backend) {
  return backend == Backend::Cdev ? "cdev" : "group";
}

Result<DeviceHandle> resolve_device(Kernel& kernel, const Sysfs& sysfs, Bdf bdf,
                                    DeviceSource source, bool has_iommufd) {
  PASSTHRU_TRY(check(source, bdf));
  if (source.cdev) {
    const Bdf behind = PASSTHRU_TRY(function_behind(kernel, sysfs, source.cdev.get()));
    if (bdf != Bdf{} && bdf != behind) {
      return tl::unexpected(
          cannot(EINVAL, bdf, fmt::format("the descriptor belongs to {}", behind.str())));
    }
    bdf = behind;
  }
  DeviceHandle handle{.bdf = bdf, .group = PASSTHRU_TRY(assignable_group(sysfs, bdf))};
  if (source.cdev || source.group) {
    handle.backend = source.cdev ? Backend::Cdev : Backend::Group;
    handle.given = std::move(source.cdev ? source.cdev : source.group);
    return handle;
  }
  handle.cdev = sysfs.cdev(bdf);
  const bool possible = !handle.cdev.empty() && (sysfs.has_iommufd() || has_iommufd) &&
                        !token_guards(sysfs, bdf, handle.group);
  handle.backend = source.backend.value_or(possible ? Backend::Cdev : Backend::Group);
  if (handle.backend == Backend::Group) return handle;
  if (!handle.cdev.empty()) return handle;
  return tl::unexpected(cannot(ENOTSUP, bdf, "the device has no node of its own",
                               "Use --backend=group. A node of its own takes Linux 6.6 with "
                               "CONFIG_VFIO_DEVICE_CDEV"));
}

}  // namespace passthru
