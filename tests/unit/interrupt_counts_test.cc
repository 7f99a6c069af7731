// SPDX-License-Identifier: MIT
// How often an interrupt fired, as /proc/interrupts tells it.
#include "vfio/interrupt_counts.h"

#include <gtest/gtest.h>

namespace passthru {
namespace {

constexpr const char* kInterrupts =
    "           CPU0       CPU1       \n"
    "   4:        312          0   IO-APIC   4-edge      ttyS0\n"
    "  27:         10          5  IR-PCI-MSI 32768-edge      vfio-msix[0](0000:00:02.0)\n"
    "  28:          7          0  IR-PCI-MSI 32769-edge      vfio-msix[12](0000:00:02.0)\n"
    "  29:         99          0  IR-PCI-MSI 32769-edge      vfio-msix[1](0000:00:03.0)\n"
    " NMI:          0          0   Non-maskable interrupts\n"
    "  30:          3          4  IR-PCI-MSI 32769-edge      vfio-msix[70](0000:00:02.0)";

TEST(InterruptCounts, SumsTheCpusOfEachVectorOfOneDevice) {
  const auto counts = parse_interrupt_counts(kInterrupts, Bdf{.device = 2}, 16);
  ASSERT_EQ(counts.size(), 16U);
  EXPECT_EQ(counts[0], 15U);
  EXPECT_EQ(counts[1], 0U) << "another device's";
  EXPECT_EQ(counts[12], 7U);
}

TEST(InterruptCounts, ReadsALastLineThatHasNoEnd) {
  EXPECT_EQ(parse_interrupt_counts(kInterrupts, Bdf{.device = 2}, 71)[70], 7U);
}

/// Vectors of 0000:00:02.0 that VFIO has given back while the device's interrupts stay enabled.
TEST(InterruptCounts, OfAVectorThatWasUnboundAreThere) {
  const char* const of_the_machine =
      "  27:         10          5  IR-PCI-MSI 32768-edge      vfio-msix[0](0000:00:02.0)\n"
      "  28:          7          1  IR-PCI-MSI 32770-edge\n"
      "  29:         99          0  IR-PCI-MSI 34818-edge\n"
      "  30:          6          0  IR-IO-APIC  20-fasteoi\n"
      "  31:         98          0  IR-PCI-MSI 134250498-edge";
  EXPECT_EQ(parse_interrupt_counts(of_the_machine, Bdf{.device = 2}, 3),
            (std::vector<uint64_t>{15, 0, 8}))
      << "others are another device's and another segment's";
  EXPECT_EQ(parse_interrupt_counts(of_the_machine, Bdf{.segment = 1, .device = 2}, 3)[2], 98U);
  const char* const of_the_device =
      "  27:   10   5  IR-PCI-MSIX-0000:00:02.0   0-edge      vfio-msix[0](0000:00:02.0)\n"
      "  28:    7   1  IR-PCI-MSIX-0000:00:02.0   2-edge      \n"
      "  29:   99   0  IR-PCI-MSIX-0000:00:03.0   2-edge\n";
  EXPECT_EQ(parse_interrupt_counts(of_the_device, Bdf{.device = 2}, 3),
            (std::vector<uint64_t>{15, 0, 8}));
}

TEST(InterruptCounts, OfAVectorThatAnotherDriverHasAreNotOurs) {
  const char* const text =
      "  27:   10   5  IR-PCI-MSI 32768-edge      nvme0q0\n"
      "  28:    7   1  IR-PCI-MSI 32769-edge      vfio-msix[1](0000:00:02.1)\n";
  EXPECT_EQ(parse_interrupt_counts(text, Bdf{.device = 2}, 2), (std::vector<uint64_t>{0, 0}));
}

TEST(InterruptCounts, AreZeroForADeviceThatIsNotNamed) {
  EXPECT_EQ(parse_interrupt_counts(kInterrupts, Bdf{.device = 9}, 2),
            (std::vector<uint64_t>{0, 0}));
  EXPECT_EQ(parse_interrupt_counts("", Bdf{}, 1), std::vector<uint64_t>{0});
  EXPECT_EQ(parse_interrupt_counts("vfio-msix[](0000:00:00.0)\n", Bdf{}, 1),
            std::vector<uint64_t>{0});
}

}  // namespace
}  // namespace passthru
