// SPDX-License-Identifier: MIT
#include "tools/run/run_summary.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/size_text.h"

namespace passthru::tools {
namespace {

std::string bar_text(const BarInspection& bar) {
  std::string text = bar.index == 6 ? "  ROM  " : fmt::format("  BAR {}", bar.index);
  text += fmt::format("  {}{}\n", size_text(bar.size), bar.io ? ", ports" : "");
  for (const SpanInspection& span : bar.spans) {
    text += fmt::format("    {:#08x} {:>8}  ", span.offset, size_text(span.size));
    if (span.mapped()) {
      text += "mapped";
    } else {
      text += fmt::format("trapped: {}, {} reads, {} writes", trap_reason(span.kind),
                          span.trapped_reads, span.trapped_writes);
    }
    text += '\n';
  }
  return text;
}

// Leaves out kinds that the guest never used.
std::string delivered_text(const DeliveredCounts& delivered) {
  std::string kinds;
  for (const auto& [kind, count] :
       {std::pair("MSI-X", delivered.msix), std::pair("MSI", delivered.msi),
        std::pair("INTx", delivered.intx)}) {
    if (count == 0) continue;
    kinds += fmt::format("{}{} by {}", kinds.empty() ? " (" : ", ", count, kind);
  }
  return fmt::format("{} delivered{}", delivered.intx + delivered.msi + delivered.msix,
                     kinds.empty() ? "" : kinds + ")");
}

std::string interrupts_text(const Inspection& inspection) {
  const auto used = std::count_if(
      inspection.vectors.begin(), inspection.vectors.end(),
      [](const VectorInspection& vector) { return vector.bound || vector.delivered != 0; });
  return fmt::format(
      "  Interrupts  {} of {} vectors used, {}, {} SET_IRQS calls, {} restores, {} rearms\n", used,
      inspection.vectors.size(), delivered_text(inspection.delivered), inspection.set_irqs_calls,
      inspection.restores, inspection.rearms);
}

// Lists only the first few vectors: a guest may have 2,048 of them.
std::string unroutable_text(const Inspection& inspection) {
  constexpr unsigned kNamed = 8;
  std::string text;
  unsigned found = 0;
  for (const VectorInspection& vector : inspection.vectors) {
    if (vector.unroutable.empty() || ++found > kNamed) continue;
    text += fmt::format("    vector {} delivers nothing: {}\n", vector.index, vector.unroutable);
  }
  if (found > kNamed) text += fmt::format("    and {} more vectors\n", found - kNamed);
  if (inspection.refused_messages == 0) return text;
  return fmt::format("  {} times the guest unmasked a vector whose message is not an interrupt\n",
                     inspection.refused_messages) +
         text;
}

}  // namespace

std::string summary(const Inspection& inspection) {
  std::string text = fmt::format("{} {} [{:04x}:{:04x}], the guest's {}\n", inspection.device.str(),
                                 inspection.name, inspection.vendor, inspection.device_id,
                                 inspection.guest_address.str());
  for (const BarInspection& bar : inspection.bars) text += bar_text(bar);
  text += interrupts_text(inspection);
  text += unroutable_text(inspection);
  if (inspection.failed_accesses != 0) {
    text +=
        fmt::format("  {} accesses failed; the guest read all ones\n", inspection.failed_accesses);
  }
  return text;
}

}  // namespace passthru::tools
