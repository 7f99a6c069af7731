// SPDX-License-Identifier: MIT
// Owns the host's view of a device's MSI or MSI-X vectors: the Linux interrupt behind each, how
// often it came on which CPUs, and which it may come on. From sysfs and /proc; any driver's.
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
  /// The device's vector; nothing where /proc/interrupts does not tell.
  std::optional<unsigned> vector{};
  bool msix = false;      ///< of MSI-X; otherwise of MSI
  bool remapped = false;  ///< by the IOMMU: /proc/interrupts calls its chip "IR-.."
  /// What its driver called it: "nvme0q1", "vfio-msix[1](0000:00:02.0)"; empty: none has requested
  /// it
  std::string name{};
  std::vector<uint64_t> counts{};  ///< by column of /proc/interrupts: one for each online CPU
  std::string affinity{};          ///< CPUs that it may come on, "0-3"; empty: not to be had
  std::string effective{};         ///< CPUs that it does come on

  [[nodiscard]] uint64_t count() const;
};

/// Pure: the line of /proc/interrupts of a number. Nothing: there is none.
/// `vector` by what the driver called it where that is VFIO, otherwise by the number that the
/// interrupt has in its domain: of the device (Linux 6.2 on) or of the machine, in which the lowest
/// 11 bits are the vector (arch/x86/kernel/apic/msi.c, kernel/irq/msi.c).
std::optional<HostInterrupt> parse_host_interrupt(std::string_view proc_interrupts, unsigned irq,
                                                  Bdf bdf);

/// Pure: the device's vector by the name that VFIO has requested an interrupt with:
/// "vfio-msix[3](0000:00:02.0)". Nothing: another driver's name.
std::optional<unsigned> vector_of_vfio(std::string_view name);

/// Pure: the device's vector by the interrupt's chip and its number there: "IR-PCI-MSI" and
/// "32771-edge". Nothing: the chip is not for MSI.
std::optional<unsigned> vector_of_domain(std::string_view chip, std::string_view hwirq, Bdf bdf);

/// Those of a function, ordered by vector, those without one last. Empty where it has none now.
std::vector<HostInterrupt> host_interrupts(const Sysfs& sysfs, Bdf bdf,
                                           const std::filesystem::path& proc = "/proc");

}  // namespace passthru
