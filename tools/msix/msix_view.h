// SPDX-License-Identifier: MIT
// The three views of a device's vectors side by side: the guest's from its VMM, the host's from
// /proc and sysfs, the device's own. A view that is not available has a reason instead. The
// subcommands of `passthru msix` use it.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "device/inspection.h"
#include "irq/verdict.h"
#include "pci/host_interrupts.h"
#include "pci/msix_layout.h"
#include "pci/sysfs.h"
#include "tools/vmm_client.h"

namespace passthru::tools {

struct MsixRow {
  /// All of it if the VMM reported the vector; otherwise its index, the verdict and the device's
  /// view.
  VectorInspection vector{};
  bool reported = false;  ///< by the VMM
  std::optional<HostInterrupt> host{};
};

struct MsixView {
  PciFunction function{};
  std::string name{};
  std::optional<MsixLayout> layout{};
  /// "vmm": the VMM looked; "vfio": the device was opened, and thereby reset; "sysfs": its BAR was
  /// read while something else uses it; empty: nothing could look at the device.
  std::string source{};
  std::optional<Inspection> guest{};  ///< without its vectors, which are in `rows`
  pid_t vmm = 0;
  uid_t vmm_user = 0;  ///< owner of the VMM's socket
  std::string socket{};
  std::optional<uint16_t> control{};  ///< Message Control of the device: Enable and Function Mask
  std::vector<MsixRow> rows{};        ///< by vector
  std::vector<std::string> missing{};

  [[nodiscard]] bool damaged() const;
  /// Returns whether the device's entries of all vectors in use were read. If not, `missing` has
  /// the reason.
  [[nodiscard]] bool seen() const;
  /// Returns the verdicts on its vectors, each once, worst first.
  [[nodiscard]] std::vector<Verdict> verdicts() const;
};

/// What to do with a device that no VMM has.
enum class Idle {
  Open,   ///< open it if it is bound to vfio-pci and free; that resets it
  Leave,  ///< leave it alone: it has no vectors in use
};

/// Asks the VMM if there is one, otherwise looks as `snapshot_msix` does. If that look fails, its
/// reason is in `missing`.
/// Errors:
/// - ENOENT: there is no such device.
/// - ENODEV: it has neither MSI-X nor interrupts.
/// - others: the VMM does not answer.
Result<MsixView> look_at_msix(const Sysfs& sysfs, Bdf bdf, VmmClient* vmm, Idle idle);

/// A device whose VMM was asked to restore its damaged vectors.
struct RestoredView {
  MsixView view{};                     ///< after the restore; if that look failed, before it
  std::optional<uint64_t> restored{};  ///< vectors; empty: the VMM did not answer
  std::optional<Error> failure{};      ///< of the request, or of the look after it
};

/// Makes the VMM that has the device restore its damaged vectors, and looks again. A failure keeps
/// the view from before.
RestoredView restore_msix(const Sysfs& sysfs, VmmClient& vmm, MsixView view);

}  // namespace passthru::tools
