// SPDX-License-Identifier: MIT
// The backend that a test run uses.
#pragma once

#include <cstdlib>
#include <string_view>

#include "vfio/device_source.h"

namespace passthru {

/// Returns the backend that PASSTHRU_BACKEND names, or the group backend if it is not set.
inline Backend tested_backend() {
  const char* const wanted = ::getenv("PASSTHRU_BACKEND");
  return wanted != nullptr && std::string_view(wanted) == "cdev" ? Backend::Cdev : Backend::Group;
}

}  // namespace passthru
