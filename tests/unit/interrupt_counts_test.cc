// SPDX-License-Identifier: MIT
// How often an interrupt fired, as the host kernel tells it.
#include "vfio/interrupt_counts.h"

#include <gtest/gtest.h>

#include <string>

#include "tests/fakes/sysfs_tree.h"

namespace passthru {
namespace {

constexpr Bdf kDevice{.device = 2};

class InterruptCountsTest : public ::testing::Test {
 protected:
  void add(int irq, const std::string& hwirq, const std::string& per_cpu_count,
           const std::string& bdf = kDevice.str()) {
    const std::string number = std::to_string(irq);
    tree_.put("bus/pci/devices/" + bdf + "/msi_irqs/" + number, "msix\n");
    tree_.put("kernel/irq/" + number + "/hwirq", hwirq);
    tree_.put("kernel/irq/" + number + "/per_cpu_count", per_cpu_count);
  }
  std::vector<uint64_t> counts(unsigned vectors) {
    return InterruptCounts::read(kDevice, vectors, tree_.root()).counts;
  }

  SysfsTree tree_;
};

TEST_F(InterruptCountsTest, SumsTheCpusOfEachVectorOfOneDevice) {
  add(27, "0\n", "10,5\n");
  add(28, "12\n", "7\n");
  add(29, "1\n", "99,0\n", "0000:00:03.0");
  const auto read = counts(16);
  ASSERT_EQ(read.size(), 16U);
  EXPECT_EQ(read[0], 15U);
  EXPECT_EQ(read[1], 0U) << "another device's";
  EXPECT_EQ(read[12], 7U);
}

/// Before Linux 6.2 all devices of the machine were in one domain.
TEST_F(InterruptCountsTest, FindsTheVectorBelowTheRequesterId) {
  add(27, "32768\n", "1,0,2\n");
  add(28, "134250498\n", "98\n");
  EXPECT_EQ(counts(3), (std::vector<uint64_t>{3, 0, 98}));
}

TEST_F(InterruptCountsTest, KeepsToTheVectorsThatWereAskedFor) {
  add(27, "2\n", "4\n");
  add(28, "2047\n", "5\n");
  EXPECT_EQ(counts(2), (std::vector<uint64_t>{0, 0}));
  EXPECT_EQ(counts(2048)[2047], 5U);
}

TEST_F(InterruptCountsTest, AreZeroWhereSysfsDoesNotTell) {
  EXPECT_EQ(counts(1), std::vector<uint64_t>{0}) << "no such device";
  add(27, "", "4\n");
  add(28, "1\n", "");
  add(29, "x\n", "1\n");
  EXPECT_EQ(counts(2), (std::vector<uint64_t>{0, 0}));
}

}  // namespace
}  // namespace passthru
