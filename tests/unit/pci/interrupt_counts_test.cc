// SPDX-License-Identifier: MIT
// Tests of the host kernel's interrupt counts.
#include "pci/interrupt_counts.h"

#include <gtest/gtest.h>

#include <string>

#include "tests/fakes/sysfs_tree.h"

namespace passthru {
namespace {

class InterruptCountsTest : public ::testing::Test {
 protected:
  /// Adds an interrupt. `actions` is the name from its driver; empty if the driver has freed it.
  void add(int irq, const std::string& actions, const std::string& hwirq,
           const std::string& per_cpu_count, const std::string& bdf = kDevice.str()) {
    const std::string number = std::to_string(irq);
    tree_.put("bus/pci/devices/" + bdf + "/msi_irqs/" + number, "msix\n");
    tree_.put("kernel/irq/" + number + "/actions", actions + "\n");
    tree_.put("kernel/irq/" + number + "/chip_name", "IR-PCI-MSI\n");
    tree_.put("kernel/irq/" + number + "/hwirq", hwirq);
    tree_.put("kernel/irq/" + number + "/per_cpu_count", per_cpu_count);
  }
  std::vector<uint64_t> counts(unsigned vectors) {
    return InterruptCounts::read(kDevice, vectors, tree_.root()).counts;
  }

  SysfsTree tree_;
};

TEST_F(InterruptCountsTest, SumsTheCpusOfEachVectorOfOneDevice) {
  add(27, "vfio-msix[0](0000:00:02.0)", "32768\n", "10,5\n");
  add(28, "vfio-msix[12](0000:00:02.0)", "32780\n", "7\n");
  add(29, "vfio-msix[1](0000:00:03.0)", "1\n", "99,0\n", "0000:00:03.0");
  const auto read = counts(16);
  ASSERT_EQ(read.size(), 16U);
  EXPECT_EQ(read[0], 15U);
  EXPECT_EQ(read[1], 0U) << "an interrupt of another device";
  EXPECT_EQ(read[12], 7U);
}

TEST_F(InterruptCountsTest, OfMsiAreThere) {
  add(27, "vfio-msi[2](0000:00:02.0)", "32770\n", "1,0,2\n");
  EXPECT_EQ(counts(3)[2], 3U);
}

/// Vectors that VFIO has unbound while the device's interrupts stay enabled. Before Linux 6.2, all
/// devices of the machine shared one domain.
TEST_F(InterruptCountsTest, OfAVectorThatWasUnboundAreThere) {
  add(27, "", "1\n", "7,1\n");
  add(28, "", "134250498\n", "98\n");
  EXPECT_EQ(counts(3), (std::vector<uint64_t>{0, 8, 98}));
}

TEST_F(InterruptCountsTest, OfAnotherDriverAreNotOurs) {
  add(27, "nvme0q0", "0\n", "10,5\n");
  EXPECT_EQ(counts(1)[0], 0U);
}

TEST_F(InterruptCountsTest, KeepsToTheVectorsThatWereAskedFor) {
  add(27, "vfio-msix[2](0000:00:02.0)", "2\n", "4\n");
  add(28, "", "2047\n", "5\n");
  EXPECT_EQ(counts(2), (std::vector<uint64_t>{0, 0}));
  EXPECT_EQ(counts(2048)[2047], 5U);
}

TEST_F(InterruptCountsTest, AreZeroWhereSysfsDoesNotTell) {
  EXPECT_EQ(counts(1), std::vector<uint64_t>{0}) << "no such device";
  add(27, "", "", "4\n");
  add(28, "", "1\n", "");
  add(29, "vfio-msi", "1\n", "1\n");
  add(30, "vfio-msix[](0000:00:02.0)", "1\n", "1\n");
  add(31, "", "x\n", "1\n");
  EXPECT_EQ(counts(2), (std::vector<uint64_t>{0, 0}));
}

}  // namespace
}  // namespace passthru
