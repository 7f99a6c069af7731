// SPDX-License-Identifier: MIT
// The host's view of a device's MSI or MSI-X vectors: the Linux interrupt of each vector, its
// counts by CPU and its affinity. Read from sysfs and /proc, whatever driver the device has.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "pci/bdf.h"
#include "pci/sysfs.h"

namespace passthru {

/// An interrupt of the host.
struct HostInterrupt {
  unsigned irq = 0;  ///< its number in Linux
  /// The device's vector; nullopt if /proc/interrupts does not show it.
  std::optional<unsigned> vector{};
  bool msix = false;      ///< MSI-X; otherwise MSI
  bool remapped = false;  ///< the IOMMU remaps it: its chip in /proc/interrupts is "IR-.."
  /// The name that its driver requested it with: "nvme0q1", "vfio-msix[1](0000:00:02.0)"; empty if
  /// no driver has requested it.
  std::string name{};
  std::vector<uint64_t> counts{};  ///< by column of /proc/interrupts, which are the online CPUs
  std::string affinity{};          ///< CPUs that may receive it, "0-3"; empty: unknown
  std::string effective{};         ///< CPUs that receive it

  [[nodiscard]] uint64_t count() const;
};

/// Parses the line of interrupt `irq` in /proc/interrupts; nullopt if there is no line. Pure. The
/// name gives `vector` if VFIO requested the interrupt. Otherwise the number in its interrupt
/// domain gives it. A domain belongs to the device (since Linux 6.2) or to the machine; in the
/// latter, the lowest 11 bits are the vector (arch/x86/kernel/apic/msi.c, kernel/irq/msi.c).
std::optional<HostInterrupt> parse_host_interrupt(std::string_view proc_interrupts, unsigned irq,
                                                  Bdf bdf);

/// Returns the vector in the name that VFIO requested an interrupt with,
/// "vfio-msix[3](0000:00:02.0)"; nullopt for the name of another driver. Pure.
std::optional<unsigned> vector_of_vfio(std::string_view name);

/// Returns the vector by the interrupt's chip and its number there, "IR-PCI-MSI" and "32771-edge";
/// nullopt if the chip is not for MSI. Pure.
std::optional<unsigned> vector_of_domain(std::string_view chip, std::string_view hwirq, Bdf bdf);

/// Returns the interrupts of a function, sorted by vector; interrupts without a vector are last.
/// Empty if the function has no interrupt now.
std::vector<HostInterrupt> host_interrupts(const Sysfs& sysfs, Bdf bdf,
                                           const std::filesystem::path& proc = "/proc");

}  // namespace passthru
