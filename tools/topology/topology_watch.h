// SPDX-License-Identifier: MIT
// Owns `passthru topology --watch`: what comes, goes and changes, as the kernel tells of it.
#pragma once

#include "pci/sysfs.h"

namespace passthru::tools {

/// Prints the tree, then a line for each event and what has become of the tree around it, each line
/// at once; with `json` a document a line. Returns kRefused where the kernel cannot be listened to;
/// otherwise Ctrl-C ends it.
int watch_topology(const Sysfs& sysfs, bool json);

}  // namespace passthru::tools
