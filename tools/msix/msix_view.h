// SPDX-License-Identifier: MIT
// Owns the three views of a device's vectors side by side: the guest's from its VMM, the host's
// from /proc and sysfs, the device's own. What can be had is there; why the rest is missing too.
// Used by the subcommands of `passthru msix`.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "device/inspection.h"
#include "irq/msix_table.h"
#include "irq/verdict.h"
#include "pci/host_interrupts.h"
#include "pci/msix_layout.h"
#include "pci/sysfs.h"
#include "tools/vmm_client.h"

namespace passthru::tools {

struct MsixRow {
  unsigned index = 0;
  std::string verdict{};
  std::string why{};
  bool damaged = false;
  std::optional<VectorInspection> guest{};
  std::optional<HostInterrupt> host{};
  std::optional<MsixEntry> in_device{};
  bool device_pending = false;
};

struct MsixView {
  PciFunction function{};
  std::string name{};
  std::optional<MsixLayout> layout{};
  /// "vmm": the VMM looked; "vfio": the device was opened, and thereby reset; "sysfs": its BAR was
  /// read beside whoever uses it; empty: the device could not be looked at.
  std::string source{};
  std::optional<Inspection> guest{};  ///< without its vectors, which are in `rows`
  pid_t vmm = 0;
  std::string socket{};
  std::optional<uint16_t> control{};  ///< Message Control of the device: Enable and Function Mask
  std::vector<MsixRow> rows{};        ///< by vector
  std::vector<std::string> missing{};

  [[nodiscard]] bool damaged() const;
};

/// How a device without a VMM may be looked at.
enum class Idle {
  Open,   ///< one that is bound to vfio-pci and free is opened, which resets it
  Leave,  ///< it is left alone, and has no vectors in use anyway
};

/// Through the VMM where one is given, otherwise as `snapshot_msix` does, which may fail: then that
/// is `missing`. ENOENT: no such device; ENODEV: it has neither MSI-X nor interrupts; others: the
/// VMM does not answer.
Result<MsixView> look_at_msix(const Sysfs& sysfs, Bdf bdf, VmmClient* vmm, Idle idle);

/// A device whose VMM was asked to heal it.
struct HealedView {
  MsixView view{};                     ///< after it; where that failed, before it
  std::optional<uint64_t> restored{};  ///< vectors; nothing: it was not asked, or did not answer
  std::optional<Error> failure{};      ///< of asking, or of the look after it
};

/// Has the VMM that has the device restore what is damaged, and looks again. What was seen before
/// is not lost with what fails.
HealedView heal_msix(const Sysfs& sysfs, VmmClient& vmm, MsixView view);

}  // namespace passthru::tools
