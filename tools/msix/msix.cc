// SPDX-License-Identifier: MIT
// Owns `passthru msix`: what there is below it.
#include "tools/commands.h"
#include "tools/msix/msix_commands.h"

namespace passthru::tools {

CLI::App* add_msix(CLI::App& app, int& status) {
  CLI::App* msix = app.add_subcommand("msix", "Look at a device's interrupts, and mend them");
  msix->require_subcommand(1);
  msix->footer(
      "Examples:\n"
      "  sudo passthru msix show 0000:01:00.0        what the guest, the host and the device say\n"
      "  sudo passthru msix watch 0000:01:00.0       how often each vector comes, live\n"
      "  sudo passthru msix audit --all              whether any device has lost interrupts\n"
      "  sudo passthru msix trigger 0000:01:00.0 0   whether one gets through");
  add_msix_show(*msix, status);
  add_msix_watch(*msix, status);
  add_msix_audit(*msix, status);
  add_msix_trigger(*msix, status);
  return msix;
}

}  // namespace passthru::tools
