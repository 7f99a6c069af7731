// SPDX-License-Identifier: MIT
#include "tools/msix/msix_metrics.h"

#include <fmt/format.h>

namespace passthru::tools {
std::string msix_metrics(const std::vector<MsixView>& views) {
  std::string damaged =
      "# HELP passthru_damaged_vectors Vectors whose interrupts cannot arrive.\n"
      "# TYPE passthru_damaged_vectors gauge\n";
  std::string verdicts =
      "# HELP passthru_vector_damage What is wrong with a vector; 1 while it is.\n"
      "# TYPE passthru_vector_damage gauge\n";
  std::string seen =
      "# HELP passthru_device_seen Whether the device's own table was visible.\n"
      "# TYPE passthru_device_seen gauge\n";
  std::string restores =
      "# HELP passthru_restored_vectors_total Vectors that the VMM has restored.\n"
      "# TYPE passthru_restored_vectors_total counter\n";
  std::string interrupts =
      "# HELP passthru_interrupts_total Interrupts that the host has counted since the vector was "
      "requested.\n"
      "# TYPE passthru_interrupts_total counter\n";
  for (const MsixView& view : views) {
    const std::string device = view.function.bdf.str();
    unsigned count = 0;
    for (const MsixRow& row : view.rows) {
      if (row.vector.damaged) {
        ++count;
        verdicts +=
            fmt::format("passthru_vector_damage{{device=\"{}\",vector=\"{}\",verdict=\"{}\"}} 1\n",
                        device, row.vector.index, to_string(row.vector.verdict));
      }
      if (row.host) {
        interrupts += fmt::format("passthru_interrupts_total{{device=\"{}\",vector=\"{}\"}} {}\n",
                                  device, row.vector.index, row.host->count());
      }
    }
    seen += fmt::format("passthru_device_seen{{device=\"{}\"}} {}\n", device, view.seen() ? 1 : 0);
    damaged += fmt::format("passthru_damaged_vectors{{device=\"{}\"}} {}\n", device, count);
    if (view.guest) {
      restores += fmt::format("passthru_restored_vectors_total{{device=\"{}\"}} {}\n", device,
                              view.guest->restores);
    }
  }
  return damaged + verdicts + seen + restores + interrupts;
}

}  // namespace passthru::tools
