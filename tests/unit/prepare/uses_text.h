// SPDX-License-Identifier: MIT
// The uses of a device by the host as lines of text.
#pragma once

#include <gtest/gtest.h>

#include <filesystem>
#include <string>
#include <vector>

#include "prepare/in_use.h"

namespace passthru {

/// Returns "USE > REMEDY" for each use of the device, or "USE" if it has no remedy.
inline std::vector<std::string> uses_text(const Sysfs& sysfs, const std::filesystem::path& proc,
                                          Bdf bdf) {
  const auto found = device_uses(sysfs, proc, bdf);
  EXPECT_TRUE(found) << found.error().message();
  std::vector<std::string> texts;
  for (const DeviceUse& use : found.value_or(std::vector<DeviceUse>()))
    texts.push_back(use.what + (use.remedy.empty() ? "" : " > " + use.remedy));
  return texts;
}

}  // namespace passthru
