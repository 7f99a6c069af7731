// SPDX-License-Identifier: MIT
// The descriptors that the parent opens for the guest.
#pragma once

#include <string>
#include <vector>

/// Opens /dev/kvm and the devices, by their own nodes or `by_group`. Returns the options that tell
/// `passthru run` about them. The descriptors stay open across an exec, for the command.
std::vector<std::string> open_all(const std::vector<std::string>& devices, bool by_group);
