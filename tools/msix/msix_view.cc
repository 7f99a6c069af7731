// SPDX-License-Identifier: MIT
#include "tools/msix/msix_view.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "inspect/msix_snapshot.h"
#include "pci/capability_list.h"
#include "pci/pci_names.h"
#include "vfio/linux_kernel.h"

namespace passthru::tools {
namespace {

constexpr const char* kMsiHasNoTable =
    "the device's own registers: it uses MSI, which has no table";

// The entry of a vector in use was not read.
bool is_unseen(const MsixRow& row) {
  return row.vector.bound && !row.vector.in_device;
}

void add_guest(MsixView& view, Inspection inspection) {
  view.source = "vmm";
  if (const auto& control = inspection.msix_control; control && control->enabled_in_device) {
    view.control = static_cast<uint16_t>(
        (*control->enabled_in_device ? PCI_MSIX_FLAGS_ENABLE : 0) |
        (control->function_masked_in_device.value_or(false) ? PCI_MSIX_FLAGS_MASKALL : 0));
  }
  for (VectorInspection& vector : std::exchange(inspection.vectors, {})) {
    view.rows.push_back({.vector = std::move(vector), .reported = true});
  }
  if (!view.seen()) {
    view.missing.emplace_back(inspection.interrupt_mode == InterruptMode::Msi
                                  ? kMsiHasNoTable
                                  : "the device's own table: the VMM cannot map it");
  }
  view.guest = std::move(inspection);
}

MsixRow& row_of(MsixView& view, unsigned index) {
  const auto found = std::find_if(view.rows.begin(), view.rows.end(),
                                  [&](const MsixRow& row) { return row.vector.index == index; });
  if (found != view.rows.end()) return *found;
  MsixRow& row = view.rows.emplace_back();
  row.vector.index = index;
  return row;
}

void add_snapshot(MsixView& view, const MsixSnapshot& snapshot) {
  view.source = snapshot.source == MsixSnapshot::Source::Vfio ? "vfio" : "sysfs";
  view.control =
      static_cast<uint16_t>(snapshot.control & (PCI_MSIX_FLAGS_ENABLE | PCI_MSIX_FLAGS_MASKALL));
  for (unsigned index = 0; index < snapshot.vectors.size(); ++index) {
    const auto& [entry, pending] = snapshot.vectors[index];
    VectorInspection& vector = row_of(view, index).vector;
    vector.in_device = entry;
    vector.device_pending = pending;
  }
}

void add_host(MsixView& view, const Sysfs& sysfs) {
  for (HostInterrupt& interrupt : host_interrupts(sysfs, view.function.bdf)) {
    // The kernel has allocated an interrupt without a vector, and no driver asks for it.
    if (!interrupt.vector || *interrupt.vector > 2047) continue;
    row_of(view, *interrupt.vector).host = std::move(interrupt);
  }
  std::sort(view.rows.begin(), view.rows.end(), [](const MsixRow& one, const MsixRow& other) {
    return one.vector.index < other.vector.index;
  });
}

// No VMM says what the device's user wants. So a vector counts as wanted if the host has requested
// its interrupt.
void judge_rows(MsixView& view) {
  // The kernel still lists an interrupt that its driver has given back, without a name.
  const auto is_used = [](const MsixRow& row) { return row.host && !row.host->name.empty(); };
  const bool any = std::any_of(view.rows.begin(), view.rows.end(), is_used);
  const FunctionState function{
      .user = view.function.on_vfio ? FunctionState::User::Guest : FunctionState::User::HostDriver,
      .enabled = any,
      .owners_known = false,
      .control = view.control,
      .unseen = view.source.empty() && !view.missing.empty() ? view.missing.front() : ""};
  for (MsixRow& row : view.rows) {
    row.vector.bound = is_used(row);
    row.vector.masked = !row.vector.bound;
    row.vector = judge(function, std::move(row.vector));
  }
}

// Another process has the device on VFIO, and sysfs does not show its table: its memory decode is
// off, or the kernel keeps BARs in use to itself.
bool is_elsewhere(const PciFunction& function, const Error& error) {
  return function.on_vfio && (error.code == EBUSY || error.code == ENXIO);
}

// If nothing uses the device, there is nothing else to show. Root sees Message Control whether or
// not the table is visible.
Result<void> look_at_device(MsixView& view, const Sysfs& sysfs, Idle idle, bool used) {
  const Bdf bdf = view.function.bdf;
  LinuxKernel kernel;
  const auto snapshot =
      idle == Idle::Open ? snapshot_msix(kernel, sysfs, bdf) : snapshot_from_sysfs(sysfs, bdf);
  if (snapshot) {
    add_snapshot(view, *snapshot);
    return {};
  }
  if (!used && !is_elsewhere(view.function, snapshot.error())) {
    return tl::unexpected(snapshot.error());
  }
  const uint16_t control = config_u16(view.function.config, view.layout->capability + 2U);
  view.control = static_cast<uint16_t>(control & (PCI_MSIX_FLAGS_ENABLE | PCI_MSIX_FLAGS_MASKALL));
  view.missing.push_back("the device's own table: " + snapshot.error().message());
  return {};
}

}  // namespace

bool MsixView::damaged() const {
  return std::any_of(rows.begin(), rows.end(),
                     [](const MsixRow& row) { return row.vector.damaged; });
}

bool MsixView::seen() const {
  return !source.empty() && std::none_of(rows.begin(), rows.end(), is_unseen);
}

std::vector<Verdict> MsixView::verdicts() const {
  std::vector<Verdict> found;
  for (const Verdict verdict : kVerdicts) {
    const auto has_it = [verdict](const MsixRow& row) { return row.vector.verdict == verdict; };
    if (std::any_of(rows.begin(), rows.end(), has_it)) found.push_back(verdict);
  }
  return found;
}

Result<MsixView> look_at_msix(const Sysfs& sysfs, Bdf bdf, VmmClient* vmm, Idle idle) {
  MsixView view{.function = PASSTHRU_TRY(sysfs.function(bdf))};
  const auto layout = msix_layout_of(view.function);
  if (layout) view.layout = *layout;
  if (vmm != nullptr) {
    view.vmm = vmm->pid();
    view.vmm_user = vmm->user();
    view.socket = vmm->socket();
    auto inspections = PASSTHRU_TRY(vmm->inspect(bdf));
    view.name = inspections.front().name;
    add_guest(view, std::move(inspections.front()));
    add_host(view, sysfs);
    return view;
  }
  // A VMM reports the name. Reading the list takes longer than all the rest.
  view.name = PciNames().device(view.function.vendor, view.function.device);
  const auto interrupts = host_interrupts(sysfs, bdf);
  const bool used = !interrupts.empty();
  const bool msi = used && !interrupts.front().msix;
  if (!layout && !used) return tl::unexpected(layout.error());
  if (msi) {
    view.missing.emplace_back(kMsiHasNoTable);
  } else if (!layout) {
    view.missing.push_back("the device's own table: " + layout.error().message());
  } else if (used || idle == Idle::Open) {
    PASSTHRU_TRY(look_at_device(view, sysfs, idle, used));
  }
  if (view.function.on_vfio && used) {
    view.missing.emplace_back(
        "the guest's view: no VMM that this user may ask, and that answers, has the device. Use "
        "--socket for a VMM of another user");
  }
  add_host(view, sysfs);
  judge_rows(view);
  return view;
}

RestoredView restore_msix(const Sysfs& sysfs, VmmClient& vmm, MsixView view) {
  const Bdf bdf = view.function.bdf;
  RestoredView restored{.view = std::move(view)};
  const auto count = [&]() -> Result<uint64_t> {
    const auto answer = PASSTHRU_TRY(vmm.ask({{"request", "heal"}, {"device", bdf.str()}}));
    return vmm.member(answer, "restored", uint64_t{0});
  }();
  if (!count) {
    restored.failure = count.error();
    return restored;
  }
  restored.restored = *count;
  if (auto again = look_at_msix(sysfs, bdf, &vmm, Idle::Leave)) {
    restored.view = std::move(*again);
  } else {
    restored.failure = again.error();
  }
  return restored;
}

}  // namespace passthru::tools
