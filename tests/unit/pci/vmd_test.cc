// SPDX-License-Identifier: MIT
// Functions behind a VMD (Intel Volume Management Device), which have a segment of their own.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cerrno>
#include <filesystem>
#include <string>

#include "pci/sysfs.h"
#include "tests/fakes/sysfs_tree.h"
#include "vfio/group.h"

namespace passthru {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr Bdf kVmd{.device = 0x0e};
constexpr Bdf kDrive{.segment = 0x10000, .bus = 0xe1};

/// A host with a VMD, a drive behind it, and a drive elsewhere.
class Vmd : public testing::Test {
 protected:
  void SetUp() override {
    tree.add({.bdf = "0000:00:02.0", .group = 1});
    tree.add({.bdf = "0000:00:0e.0", .class_code = 0x010400, .driver = "vmd", .group = 2});
    tree.add({.bdf = "10000:e1:00.0", .driver = "nvme", .group = 2});
    // The kernel puts the function below its VMD.
    const std::filesystem::path link = tree.root() / "bus/pci/devices/10000:e1:00.0";
    const std::string below = "devices/pci0000:00/0000:00:0e.0/pci10000:e0/10000:e0:06.0";
    std::filesystem::create_directories(tree.root() / below);
    std::filesystem::rename(std::filesystem::canonical(link),
                            tree.root() / below / "10000:e1:00.0");
    std::filesystem::remove(link);
    std::filesystem::create_symlink("../../../" + below + "/10000:e1:00.0", link);
  }

  SysfsTree tree;
};

TEST_F(Vmd, Case11FunctionsBehindItAreListed) {
  EXPECT_THAT(*tree.sysfs().functions(), ElementsAre(Bdf{.device = 2}, kVmd, kDrive));
  EXPECT_EQ(tree.sysfs().function(kDrive)->driver, "nvme");
}

TEST_F(Vmd, Case11IsFoundFromTheFunctionsBehindIt) {
  EXPECT_EQ(tree.sysfs().vmd_of(kDrive), kVmd);
  EXPECT_EQ(tree.sysfs().vmd_of(kVmd), std::nullopt);
  EXPECT_EQ(tree.sysfs().vmd_of({.device = 2}), std::nullopt);
  EXPECT_EQ(tree.sysfs().vmd_of({.device = 3}), std::nullopt) << "no such function";
}

TEST_F(Vmd, Case11AFunctionBehindItIsRefusedWithTheReason) {
  const auto refused = bindable_function(tree.sysfs(), kDrive);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ENOTSUP);
  EXPECT_THAT(refused.error().message(), HasSubstr("10000:e1:00.0"));
  EXPECT_THAT(refused.error().cause, HasSubstr("behind the VMD 0000:00:0e.0"));
  EXPECT_THAT(refused.error().advice, HasSubstr("Assign 0000:00:0e.0"));
  EXPECT_TRUE(bindable_function(tree.sysfs(), kVmd)) << "the VMD itself can be assigned";
  EXPECT_TRUE(bindable_function(tree.sysfs(), {.device = 2}));
}

}  // namespace
}  // namespace passthru
