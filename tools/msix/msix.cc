// SPDX-License-Identifier: MIT
// `passthru msix`: its subcommands.
#include "tools/commands.h"
#include "tools/msix/msix_commands.h"

namespace passthru::tools {

CLI::App* add_msix(CLI::App& app, int& status) {
  CLI::App* msix = app.add_subcommand("msix", "Inspect a device's interrupts, and restore them");
  msix->require_subcommand(1);
  msix->footer(
      "Examples:\n"
      "  sudo passthru msix show 0000:01:00.0        compare guest, host and device\n"
      "  sudo passthru msix watch 0000:01:00.0       show the rate of each vector, live\n"
      "  sudo passthru msix audit --all              check all devices for damaged vectors\n"
      "  sudo passthru msix trigger 0000:01:00.0 0   test whether vector 0 gets through");
  add_msix_show(*msix, status);
  add_msix_watch(*msix, status);
  add_msix_audit(*msix, status);
  add_msix_trigger(*msix, status);
  return msix;
}

}  // namespace passthru::tools
