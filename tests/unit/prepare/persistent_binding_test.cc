// SPDX-License-Identifier: MIT
// Tests of the files that keep a binding over a boot.
#include "prepare/persistent_binding.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/small_file.h"
#include "tests/fakes/sysfs_tree.h"

namespace passthru {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

class Persistence : public testing::Test {
 protected:
  Persistence() { tree.add({.driver = "nvme"}); }
  void install_udev() { tree.put("usr/lib/udev/rules.d/80-drivers.rules", ""); }
  void install_driverctl() { tree.put("usr/lib/udev/rules.d/05-driverctl.rules", ""); }
  PersistentBinding persistence() const { return PersistentBinding(tree.root()); }
  Result<ChangePlan> keep(const std::string& driver = "vfio-pci") const {
    return persistence().keep(tree.sysfs().function(kDevice).value_or(PciFunction()), driver);
  }
  void carry_out_keep(const std::string& driver = "vfio-pci") {
    const auto plan = keep(driver);
    ASSERT_TRUE(plan) << plan.error().message();
    const auto done = carry_out(*plan);
    ASSERT_TRUE(done) << done.error().message();
  }
  std::string content(const std::string& below_root) const {
    return read_file(tree.root() / below_root).value_or(std::string("no file"));
  }

  static constexpr const char* kRule = "etc/udev/rules.d/10-passthru-0000:00:02.0.rules";
  static constexpr const char* kDriverctl = "etc/driverctl.d/pci-0000:00:02.0";
  SysfsTree tree;
};

TEST_F(Persistence, WithDriverctlItsFileNamesTheDriver) {
  install_udev();
  install_driverctl();
  carry_out_keep();
  EXPECT_EQ(content(kDriverctl), "vfio-pci\n");
  EXPECT_EQ(content(kRule), "no file");
}

TEST_F(Persistence, WithoutDriverctlARuleOfUdevBindsThisVeryDevice) {
  install_udev();
  carry_out_keep();
  EXPECT_EQ(content(kDriverctl), "no file");
  EXPECT_EQ(
      content(kRule),
      "# Written by 'passthru bind --persist'. 'passthru unbind 0000:00:02.0' removes this file.\n"
      "ACTION==\"add\", SUBSYSTEM==\"pci\", KERNEL==\"0000:00:02.0\", ATTR{vendor}==\"0x1b36\", "
      "ATTR{device}==\"0x0010\", ATTR{driver_override}=\"vfio-pci\", "
      "RUN{builtin}+=\"kmod load vfio-pci\", RUN+=\"/bin/sh -c 'test /sys%p/driver -ef "
      "/sys/bus/pci/drivers/vfio-pci || { test ! -e /sys%p/driver || echo %k > "
      "/sys%p/driver/unbind; echo %k > /sys/bus/pci/drivers_probe; }'\"\n");
}

TEST_F(Persistence, WhatIsKeptAlreadyNeedsNoChange) {
  install_udev();
  carry_out_keep();
  EXPECT_THAT(*keep(), IsEmpty());
  EXPECT_THAT(*keep("mlx5_vfio_pci"), SizeIs(1));
}

TEST_F(Persistence, AFailureLaterInThePlanRestoresTheFormerFile) {
  install_driverctl();
  tree.put(kDriverctl, "igb_uio\n");
  ChangePlan plan = *keep();
  plan.push_back({{FileChange::Kind::Write, tree.root() / "missing", "x"}, {}, "0000:00:02.0"});
  EXPECT_FALSE(carry_out(plan));
  EXPECT_EQ(content(kDriverctl), "igb_uio\n");
}

TEST_F(Persistence, UnbindRemovesTheFile) {
  install_udev();
  carry_out_keep();
  const ChangePlan plan = *persistence().forget(kDevice);
  ASSERT_THAT(plan, SizeIs(1));
  EXPECT_EQ(plan[0].change.str(), "rm " + (tree.root() / kRule).string());
  ASSERT_TRUE(carry_out(plan));
  EXPECT_EQ(content(kRule), "no file");
  EXPECT_THAT(*persistence().forget(kDevice), IsEmpty());
}

TEST_F(Persistence, UnbindAlsoRemovesAFileOfDriverctlThatNamesAVfioDriver) {
  tree.put(kDriverctl, "mlx5_vfio_pci\n").put(kRule, "# a rule\n");
  EXPECT_THAT(*persistence().forget(kDevice), SizeIs(2)) << "driverctl may have come later";
}

TEST_F(Persistence, UnbindLeavesAFileOfDriverctlThatNamesAnotherDriver) {
  tree.put(kDriverctl, "igb_uio\n");
  EXPECT_THAT(*persistence().forget(kDevice), IsEmpty());
}

TEST_F(Persistence, AnUnbindThatFailsLaterWritesTheFileAgain) {
  install_udev();
  carry_out_keep();
  const std::string rule = content(kRule);
  ChangePlan plan = *persistence().forget(kDevice);
  plan.push_back({{FileChange::Kind::Write, tree.root() / "missing", "x"}, {}, "0000:00:02.0"});
  EXPECT_FALSE(carry_out(plan));
  EXPECT_EQ(content(kRule), rule);
}

TEST_F(Persistence, WithoutUdevTheUserMustBindAtEachBoot) {
  const auto plan = keep();
  ASSERT_FALSE(plan);
  EXPECT_EQ(plan.error().message(),
            "0000:00:02.0: cannot keep the binding over a boot: neither driverctl nor udev is "
            "installed. Run 'passthru bind 0000:00:02.0' at each boot");
  install_udev();
  EXPECT_TRUE(keep());
}

TEST_F(Persistence, TheCommandsOfADryRunAreThoseOfAShell) {
  install_udev();
  EXPECT_THAT((*keep())[0].change.str(), HasSubstr("RUN+=\"/bin/sh -c '\\''test /sys%p/driver"));
}

}  // namespace
}  // namespace passthru
