// SPDX-License-Identifier: MIT
// Tests of names from a list of PCI ids that is valid, missing, incomplete or damaged.
#include "pci/pci_names.h"

#include <gtest/gtest.h>

#include "tests/fakes/sysfs_tree.h"

namespace passthru {
namespace {

class PciNamesTest : public testing::Test {
 protected:
  std::string list(const std::string& content) {
    tree_.put("pci.ids", content);
    return (tree_.root() / "pci.ids").string();
  }

 private:
  SysfsTree tree_;
};

TEST_F(PciNamesTest, AreThoseOfTheList) {
  const PciNames names(
      list("1b36  Red Hat, Inc.\n\t0010  NVM Express Controller\nC 01  Mass storage\n\t08  NVM "
           "controller\n"));
  EXPECT_EQ(names.device(0x1b36, 0x0010), "Red Hat, Inc. NVM Express Controller");
  EXPECT_EQ(names.device_class(0x0108), "NVM controller");
}

TEST_F(PciNamesTest, NumbersStandInForWhatTheListLacks) {
  const PciNames names(list("1b36  Red Hat, Inc.\n"));
  EXPECT_EQ(names.device(0x1b36, 0x0010), "Red Hat, Inc. Device 0010");
  EXPECT_EQ(names.device(0x1234, 0x5678), "Device 1234:5678");
  EXPECT_EQ(names.device_class(0x0108), "Class 0108");
}

TEST_F(PciNamesTest, WithoutAListThereAreNumbers) {
  const PciNames names("/nonexistent/pci.ids");
  EXPECT_EQ(names.device(0x1b36, 0x0010), "Device 1b36:0010");
}

TEST_F(PciNamesTest, ADamagedListEndsNothing) {
  const PciNames names(list("1b36  Red Hat, Inc.\n\t\t\tzebra\n"));
  EXPECT_EQ(names.device(0x1b36, 0x0010), "Device 1b36:0010");
  EXPECT_EQ(names.device_class(0x0108), "Class 0108") << "a second query gives the same";
}

}  // namespace
}  // namespace passthru
