// SPDX-License-Identifier: MIT
// The arguments of the C interface's calls on a device: their check, and their conversion.
#pragma once

#include <cstdint>

#include "base/result.h"
#include "device/assigned_device.h"
#include "passthru/passthru.h"
#include "vfio/device_source.h"

namespace passthru {

struct DeviceArguments {
  AssignOptions options{};
  DeviceSource source{};
};

/// Reads the options of passthru_device_open. Copies their descriptors.
///
/// Errors:
/// - EINVAL: a pointer is null, a flag or value is unknown, or an address is malformed.
/// - E2BIG: the struct has members that this version does not know.
/// - EBADF: a descriptor is not open.
Result<DeviceArguments> device_arguments(const passthru_device_options* given);

/// Checks the place of an access to config space.
///
/// Errors:
/// - EINVAL: the access is beyond config space, or its width is not 1, 2 or 4.
Result<void> check_config_access(uint32_t offset, uint32_t width, const char* operation);

}  // namespace passthru
