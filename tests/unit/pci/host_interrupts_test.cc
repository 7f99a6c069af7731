// SPDX-License-Identifier: MIT
// Tests of the host's view of a device's vectors, from /proc and sysfs.
#include "pci/host_interrupts.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "tests/fakes/sysfs_tree.h"

namespace passthru {
namespace {

constexpr const char* kInterrupts =
    "           CPU0       CPU1       \n"
    "   4:        312          0   IO-APIC   4-edge      ttyS0\n"
    "  27:         10          5  IR-PCI-MSI 32768-edge      vfio-msix[0](0000:00:02.0)\n"
    "  28:          7          0  IR-PCI-MSI 32771-edge      nvme0q3\n"
    "  29:          1          2  PCI-MSIX-0000:00:02.0   4-edge      nvme0q4\n"
    "  30:          0          0  PCI-MSI 32773-edge\n"
    " NMI:          0          0   Non-maskable interrupts\n"
    "  31:          9          9  IR-PCI-MSI x-edge      eth0";

TEST(HostInterrupts, AreFoundByTheirNumber) {
  const auto found = parse_host_interrupt(kInterrupts, 27, kDevice);
  ASSERT_TRUE(found);
  EXPECT_EQ(found->counts, (std::vector<uint64_t>{10, 5}));
  EXPECT_EQ(found->count(), 15U);
  EXPECT_EQ(found->name, "vfio-msix[0](0000:00:02.0)");
  EXPECT_TRUE(found->remapped);
  EXPECT_FALSE(parse_host_interrupt(kInterrupts, 29, kDevice)->remapped);
  EXPECT_FALSE(parse_host_interrupt(kInterrupts, 2, kDevice));
  EXPECT_FALSE(parse_host_interrupt("", 27, kDevice));
}

TEST(HostInterrupts, NameTheirVectorInOneOfThreeWays) {
  EXPECT_EQ(parse_host_interrupt(kInterrupts, 27, kDevice)->vector, 0U) << "a name by VFIO";
  EXPECT_EQ(parse_host_interrupt(kInterrupts, 28, kDevice)->vector, 3U)
      << "the domain of all devices";
  EXPECT_EQ(parse_host_interrupt(kInterrupts, 29, kDevice)->vector, 4U)
      << "the domain of the device";
  EXPECT_EQ(parse_host_interrupt(kInterrupts, 30, kDevice)->vector, 5U) << "no driver uses it";
  EXPECT_EQ(parse_host_interrupt(kInterrupts, 31, kDevice)->vector, std::nullopt);
  EXPECT_EQ(parse_host_interrupt(kInterrupts, 4, kDevice)->vector, std::nullopt) << "not an MSI";
}

TEST(HostInterrupts, OfAFunctionAreOrderedByVectorWithTheirAffinity) {
  SysfsTree sysfs;
  sysfs.add({.bdf = "0000:00:02.0", .driver = "nvme", .group = 2});
  const auto function = sysfs.sysfs().function_path(kDevice);
  const std::filesystem::path proc = sysfs.sysfs().root() / "proc";
  std::filesystem::create_directories(function / "msi_irqs");
  for (const char* irq : {"29", "27", "99", "junk"}) {
    std::ofstream(function / "msi_irqs" / irq) << "msix\n";
  }
  std::filesystem::create_directories(proc / "irq/27");
  std::ofstream(proc / "interrupts") << kInterrupts;
  std::ofstream(proc / "irq/27/smp_affinity_list") << "0-1\n";
  std::ofstream(proc / "irq/27/effective_affinity_list") << "1\n";

  const auto all = host_interrupts(sysfs.sysfs(), kDevice, proc);
  ASSERT_EQ(all.size(), 3U);
  EXPECT_EQ(all[0].irq, 27U);
  EXPECT_EQ(all[0].affinity, "0-1");
  EXPECT_EQ(all[0].effective, "1");
  EXPECT_EQ(all[1].irq, 29U);
  EXPECT_EQ(all[2].irq, 99U) << "an interrupt that /proc/interrupts lacks";
  EXPECT_FALSE(all[2].vector);
  EXPECT_TRUE(host_interrupts(sysfs.sysfs(), Bdf{.device = 9}, proc).empty());
}

}  // namespace
}  // namespace passthru
