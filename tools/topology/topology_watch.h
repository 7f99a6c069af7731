// SPDX-License-Identifier: MIT
// `passthru topology --watch`: added, removed and changed functions, as the kernel reports them.
#pragma once

#include "pci/sysfs.h"

namespace passthru::tools {

/// Prints the tree, then a line for each event and the tree around it, each line at once; with
/// `json` a document per line. Returns kRefused if it cannot receive the kernel's events. Otherwise
/// runs until Ctrl-C.
int watch_topology(const Sysfs& sysfs, bool json);

}  // namespace passthru::tools
