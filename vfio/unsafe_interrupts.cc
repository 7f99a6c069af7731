// SPDX-License-Identifier: MIT
#include "vfio/unsafe_interrupts.h"

#include <cerrno>
#include <system_error>

#include "base/small_file.h"

namespace passthru {

Result<bool> unsafe_interrupts_allowed(const std::filesystem::path& sys, Backend backend) {
  const auto parameter = [&](const char* module) {
    return read_file(sys / "module" / module / "parameters/allow_unsafe_interrupts", 1);
  };
  auto value = parameter(backend == Backend::Cdev ? "iommufd" : "vfio_iommu_type1");
  // Without type1, iommufd provides /dev/vfio/vfio (CONFIG_IOMMUFD_VFIO_CONTAINER).
  if (!value && value.error().code == ENOENT && backend == Backend::Group) {
    value = parameter("iommufd");
  }
  if (value) return *value == "Y";
  // If sysfs shows modules but not this module, nothing allows unsafe interrupts.
  std::error_code error;
  if (value.error().code == ENOENT && std::filesystem::exists(sys / "module/kernel", error)) {
    return false;
  }
  return tl::unexpected(std::move(value).error().advise(
      "Let this process read /sys/module, or use --allow-unsafe-interrupts"));
}

}  // namespace passthru
