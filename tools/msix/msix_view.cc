// SPDX-License-Identifier: MIT
// Owns how the views are joined, vector by vector.
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

void add_guest(MsixView& view, Inspection inspection) {
  view.source = "vmm";
  if (const auto& control = inspection.msix_control; control && control->enabled_in_device) {
    view.control = static_cast<uint16_t>(
        (*control->enabled_in_device ? kMsixEnable : 0) |
        (control->function_masked_in_device.value_or(false) ? kMsixFunctionMask : 0));
  }
  for (VectorInspection& vector : std::exchange(inspection.vectors, {})) {
    view.rows.push_back({.index = vector.index,
                         .verdict = vector.verdict,
                         .why = vector.why,
                         .damaged = vector.damaged,
                         .in_device = vector.in_device,
                         .device_pending = vector.device_pending});
    view.rows.back().guest = std::move(vector);
  }
  view.guest = std::move(inspection);
}

void add_snapshot(MsixView& view, const MsixSnapshot& snapshot) {
  view.source = snapshot.source == MsixSnapshot::Source::Vfio ? "vfio" : "sysfs";
  view.control = static_cast<uint16_t>(snapshot.control & (kMsixEnable | kMsixFunctionMask));
  for (unsigned index = 0; index < snapshot.vectors.size(); ++index) {
    const auto& [entry, pending] = snapshot.vectors[index];
    view.rows.push_back({.index = index, .in_device = entry, .device_pending = pending});
  }
}

MsixRow& row_of(MsixView& view, unsigned index) {
  const auto found = std::find_if(view.rows.begin(), view.rows.end(),
                                  [&](const MsixRow& row) { return row.index == index; });
  if (found != view.rows.end()) return *found;
  view.rows.push_back({.index = index});
  return view.rows.back();
}

void add_host(MsixView& view, const Sysfs& sysfs) {
  for (HostInterrupt& interrupt : host_interrupts(sysfs, view.function.bdf)) {
    // Without a vector: the kernel has allocated it, and no driver asks for it.
    if (!interrupt.vector || *interrupt.vector > 2047) continue;
    row_of(view, *interrupt.vector).host = std::move(interrupt);
  }
  std::sort(view.rows.begin(), view.rows.end(),
            [](const MsixRow& one, const MsixRow& other) { return one.index < other.index; });
}

// Nobody tells what the user of the device wants: what the host has requested is taken for it.
void judge_rows(MsixView& view) {
  // The kernel still lists an interrupt that its driver has given back, without a name.
  const auto is_used = [](const MsixRow& row) { return row.host && !row.host->name.empty(); };
  const bool any = std::any_of(view.rows.begin(), view.rows.end(), is_used);
  for (MsixRow& row : view.rows) {
    const bool used = is_used(row);
    const auto [verdict, why] = judge(
        {.user = view.function.on_vfio ? VectorView::User::Guest : VectorView::User::HostDriver,
         .enabled = any,
         .masked = !used,
         .bound = used,
         .in_device = row.in_device,
         .control = view.control});
    row.verdict = to_string(verdict);
    row.why = why;
    row.damaged = is_damage(verdict);
  }
}

// Another process has it on VFIO, and sysfs shows nothing of it: its memory decode is off, or the
// kernel keeps BARs in use to itself.
bool is_elsewhere(const PciFunction& function, const Error& error) {
  return function.on_vfio && (error.code == EBUSY || error.code == ENXIO);
}

// A device that nobody uses has nothing else to show. Message Control is there for root whether or
// not the table is.
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
  view.control = static_cast<uint16_t>(control & (kMsixEnable | kMsixFunctionMask));
  view.missing.push_back("the device's own table: " + snapshot.error().message());
  return {};
}

}  // namespace

bool MsixView::damaged() const {
  return std::any_of(rows.begin(), rows.end(), [](const MsixRow& row) { return row.damaged; });
}

Result<MsixView> look_at_msix(const Sysfs& sysfs, Bdf bdf, VmmClient* vmm, Idle idle) {
  MsixView view{.function = PASSTHRU_TRY(sysfs.function(bdf))};
  const auto layout = msix_layout_of(view.function);
  if (layout) view.layout = *layout;
  if (vmm != nullptr) {
    view.vmm = vmm->pid();
    view.socket = vmm->socket();
    auto inspections = PASSTHRU_TRY(vmm->inspect(bdf));
    if (inspections.empty()) return fail(EPROTO, "ask the VMM", "it names no device");
    view.name = inspections.front().name;
    add_guest(view, std::move(inspections.front()));
    add_host(view, sysfs);
    return view;
  }
  // Not where the VMM says it: to read the list takes longer than all the rest.
  view.name = PciNames().device(view.function.vendor, view.function.device);
  const auto interrupts = host_interrupts(sysfs, bdf);
  const bool used = !interrupts.empty();
  const bool msi = used && !interrupts.front().msix;
  if (!layout && !used) return tl::unexpected(layout.error());
  if (msi) {
    view.missing.emplace_back("the device's own registers: it uses MSI, and has no table for that");
  } else if (!layout) {
    view.missing.push_back("the device's own table: " + layout.error().message());
  } else if (used || idle == Idle::Open) {
    PASSTHRU_TRY(look_at_device(view, sysfs, idle, used));
  }
  if (view.function.on_vfio && used) {
    view.missing.emplace_back(
        "the guest's view: no VMM that this user may ask, and that answers, has it. --socket names "
        "one of another user");
  }
  add_host(view, sysfs);
  judge_rows(view);
  return view;
}

HealedView heal_msix(const Sysfs& sysfs, VmmClient& vmm, MsixView view) {
  const Bdf bdf = view.function.bdf;
  HealedView healed{.view = std::move(view)};
  const auto answer = vmm.ask({{"request", "heal"}, {"device", bdf.str()}});
  if (!answer) {
    healed.failure = answer.error();
    return healed;
  }
  healed.restored = answer->value("restored", uint64_t{0});
  if (auto again = look_at_msix(sysfs, bdf, &vmm, Idle::Leave)) {
    healed.view = std::move(*again);
  } else {
    healed.failure = again.error();
  }
  return healed;
}

}  // namespace passthru::tools
