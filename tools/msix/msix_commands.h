// SPDX-License-Identifier: MIT
// The subcommands of `passthru msix`. Only tools/msix/msix.cc calls these functions.
#pragma once

#include <CLI/CLI.hpp>

namespace passthru::tools {

void add_msix_show(CLI::App& msix, int& status);
void add_msix_watch(CLI::App& msix, int& status);
void add_msix_audit(CLI::App& msix, int& status);
void add_msix_trigger(CLI::App& msix, int& status);

}  // namespace passthru::tools
