// SPDX-License-Identifier: MIT
// Tests of binding a device to vfio-pci and back. The driver core may refuse any step.
#include "prepare/binding.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/small_file.h"
#include "tests/unit/prepare/binding_fixture.h"

namespace passthru {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

TEST_F(BindingTest, ADeviceGoesToVfioPciAndBackToTheDriverItHad) {
  tree.add_driver("vfio-pci").add({.driver = "nvme"});
  ASSERT_TRUE(bind());
  EXPECT_EQ(tree.driver_of(kName), "vfio-pci");
  ASSERT_TRUE(unbind());  // through another object, as in a later process
  EXPECT_EQ(tree.driver_of(kName), "nvme");
  EXPECT_EQ(driver_override(), "");
  EXPECT_FALSE(has_record());
}

TEST_F(BindingTest, ADeviceWithoutDriverIsWithoutDriverAgainAfterwards) {
  tree.add_driver("vfio-pci").add({.driver = ""});
  ASSERT_TRUE(bind());
  EXPECT_EQ(tree.driver_of(kName), "vfio-pci");
  ASSERT_TRUE(unbind());
  EXPECT_EQ(tree.driver_of(kName), "");
}

// As if `bind` was killed after the driver was unbound and before vfio-pci was bound.
TEST_F(BindingTest, TheDriverThatAKilledBindTookAwayIsNotForgotten) {
  tree.add_driver("vfio-pci").add({.driver = "nvme"});
  ChangePlan plan = *binding().bind(kDevice);
  plan.resize(3);
  ASSERT_TRUE(carry_out(plan));
  ASSERT_EQ(tree.driver_of(kName), "");
  ASSERT_TRUE(bind());
  EXPECT_EQ(tree.driver_of(kName), "vfio-pci");
  ASSERT_TRUE(unbind());
  EXPECT_EQ(tree.driver_of(kName), "nvme");
}

TEST_F(BindingTest, AnOverrideThatWasThereIsRestored) {
  tree.add_driver("vfio-pci").add({.driver = "pci-stub"});
  tree.put("bus/pci/devices/0000:00:02.0/driver_override", "pci-stub\n");
  ASSERT_TRUE(bind());
  EXPECT_EQ(driver_override(), "vfio-pci");
  ASSERT_TRUE(unbind());
  EXPECT_EQ(driver_override(), "pci-stub");
  EXPECT_EQ(tree.driver_of(kName), "pci-stub");
}

TEST_F(BindingTest, BindingWhatIsBoundAndUnbindingWhatIsNotHaveNothingToDo) {
  tree.add({.bdf = "0000:00:02.0", .driver = "vfio-pci"});
  tree.add({.bdf = "0000:00:03.0", .driver = "nvme"});
  tree.add({.bdf = "0000:00:04.0", .driver = "mlx5_vfio_pci", .vfio_dev = true});
  EXPECT_THAT(*binding().bind(Bdf{.device = 2}), IsEmpty());
  EXPECT_THAT(*binding().unbind(Bdf{.device = 3}), IsEmpty());
  EXPECT_THAT(*binding().bind(Bdf{.device = 4}), IsEmpty());
}

TEST_F(BindingTest, WhatHasVirtualFunctionsKeepsTheDriverThatServesThem) {
  tree.add_driver("vfio-pci").add({.driver = "nvme"});
  tree.put("bus/pci/devices/0000:00:02.0/sriov_totalvfs", "8\n");
  tree.put("bus/pci/devices/0000:00:02.0/sriov_numvfs", "2\n");
  const auto bound = bind();
  ASSERT_FALSE(bound);
  EXPECT_EQ(bound.error().code, EBUSY);
  EXPECT_EQ(bound.error().message(),
            "0000:00:02.0: cannot bind to vfio-pci: 2 virtual functions depend on the device and "
            "its driver. "
            "Assign the virtual functions, or remove them when nothing uses them: 'echo 0 > " +
                (tree.sysfs().function_path(kDevice) / "sriov_numvfs").string() + "'");
  EXPECT_EQ(tree.driver_of(kName), "nvme");
  tree.put("bus/pci/devices/0000:00:02.0/sriov_numvfs", "0\n");
  EXPECT_TRUE(bind());
}

TEST_F(BindingTest, WithoutARecordTheKernelChoosesTheDriver) {
  tree.add_driver("vfio-pci").add({.driver = "nvme"});
  ASSERT_TRUE(bind());
  std::filesystem::remove(tree.records() / kName);
  ASSERT_TRUE(unbind());
  EXPECT_EQ(tree.driver_of(kName), "nvme");
  EXPECT_EQ(driver_override(), "");
}

TEST_F(BindingTest, ThePlanReadsAsAShellWouldDoIt) {
  tree.add_driver("vfio-pci").add({.driver = "nvme"});
  const std::string root = tree.root().string();
  EXPECT_THAT(
      commands(binding().bind(kDevice)),
      ElementsAre("mkdir -p " + root +
                      "/run/passthru && printf '%s\\n' 'device=1b36:0010' 'vfio_driver=vfio-pci' "
                      "'driver=nvme' 'override=' > " +
                      root + "/run/passthru/0000:00:02.0",
                  "echo vfio-pci > " + root + "/bus/pci/devices/0000:00:02.0/driver_override",
                  "echo 0000:00:02.0 > " + root + "/bus/pci/drivers/nvme/unbind",
                  "echo 0000:00:02.0 > " + root + "/bus/pci/drivers/vfio-pci/bind"));
}

// If the override came later, udev could load another driver that takes the device.
TEST_F(BindingTest, TheOverrideIsSetWhileTheOldDriverHasTheDevice) {
  tree.add_driver("vfio-pci").add({.driver = "nvme"});
  carry_out_first(*binding().bind(kDevice), 2);
  EXPECT_EQ(driver(), "nvme");
  EXPECT_EQ(driver_override(), "vfio-pci");
}

// Whichever step the kernel refuses, the device is as before and the error names the step.
class BindingRefused : public BindingTest, public testing::WithParamInterface<const char*> {};

TEST_P(BindingRefused, BindLeavesTheDeviceAsItWas) {
  tree.add_driver("vfio-pci").add({.driver = "nvme"});
  tree.refuse(GetParam(), EINVAL);
  const auto bound = bind();
  ASSERT_FALSE(bound);
  EXPECT_EQ(bound.error().code, EINVAL);
  EXPECT_EQ(bound.error().message(), "0000:00:02.0: cannot write " + tree.root().string() +
                                         "/bus/pci" + GetParam() + ": Invalid argument");
  EXPECT_EQ(tree.driver_of(kName), "nvme");
  EXPECT_EQ(driver_override(), "");
  EXPECT_FALSE(has_record());
}

INSTANTIATE_TEST_SUITE_P(EachStep, BindingRefused,
                         testing::Values("/devices/0000:00:02.0/driver_override",
                                         "/drivers/nvme/unbind", "/drivers/vfio-pci/bind"));

class UnbindingRefused : public BindingTest, public testing::WithParamInterface<const char*> {};

TEST_P(UnbindingRefused, UnbindLeavesTheDeviceOnVfioPci) {
  tree.add_driver("vfio-pci").add({.driver = "nvme"});
  ASSERT_TRUE(bind());
  tree.refuse(GetParam(), EBUSY);
  ASSERT_FALSE(unbind());
  EXPECT_EQ(tree.driver_of(kName), "vfio-pci");
  EXPECT_EQ(driver_override(), "vfio-pci");
  EXPECT_TRUE(has_record());
}

INSTANTIATE_TEST_SUITE_P(EachStep, UnbindingRefused,
                         testing::Values("/drivers/vfio-pci/unbind",
                                         "/devices/0000:00:02.0/driver_override",
                                         "/drivers/nvme/bind", "/run/passthru/0000:00:02.0"));

TEST_F(BindingTest, ADriverThatCannotTakeTheDeviceBackIsNamed) {
  tree.add_driver("vfio-pci").add({.driver = "nvme"});
  tree.refuse("/drivers/vfio-pci/bind", EINVAL);
  tree.refuse("/drivers/nvme/bind", EIO);
  const auto bound = bind();
  const std::string root = tree.root().string();
  EXPECT_EQ(bound.error().message(),
            "0000:00:02.0: cannot write " + root +
                "/bus/pci/drivers/vfio-pci/bind: Invalid argument; not undone: 'echo "
                "0000:00:02.0 > " +
                root +
                "/bus/pci/drivers/nvme/bind': Input/output error. 'passthru unbind 0000:00:02.0' "
                "tries again to give back");
  EXPECT_EQ(driver_override(), "") << "the other steps are undone even so";
  EXPECT_TRUE(has_record()) << "or unbind would not know the driver";
  tree.refuse("/drivers/nvme/bind", 0);  // the driver works again
  ASSERT_TRUE(unbind());
  EXPECT_EQ(driver(), "nvme");
}

TEST_F(BindingTest, AFailedBindLeavesTheRecordOfAnotherDeviceAsItWas) {
  const std::string record = "device=8086:10d3\nvfio_driver=vfio-pci\ndriver=e1000e\noverride=\n";
  tree.add_driver("vfio-pci").add({.driver = "nvme"}).put("run/passthru/0000:00:02.0", record);
  tree.refuse("/drivers/vfio-pci/bind", EINVAL);
  ASSERT_FALSE(bind());
  EXPECT_EQ(driver(), "nvme");
  EXPECT_EQ(read_file(tree.records() / kName).value_or(std::string("no file")), record);
}

TEST_F(BindingTest, SeveralDevicesAreBoundAllOrNone) {
  tree.add_driver("vfio-pci").add({.bdf = "0000:00:02.0", .driver = "nvme"});
  tree.add({.bdf = "0000:00:03.0", .driver = "e1000e"});
  ChangePlan plan = *binding().bind(kDevice);
  const ChangePlan second = *binding().bind(Bdf{.device = 3});
  plan.insert(plan.end(), second.begin(), second.end());
  tree.refuse("/drivers/e1000e/unbind", EBUSY);
  const auto bound = carry_out(plan);
  EXPECT_EQ(bound.error().device, "0000:00:03.0");
  EXPECT_EQ(tree.driver_of("0000:00:02.0"), "nvme");
  EXPECT_EQ(tree.driver_of("0000:00:03.0"), "e1000e");
}

// The third device fails after two are bound: all changes are undone, the last first.
TEST_F(BindingTest, AGroupOfWhichAMemberFailsGoesBackInReverseOrder) {
  tree.add_driver("vfio-pci");
  ChangePlan plan;
  for (const char* bdf : {"0000:00:02.0", "0000:00:02.1", "0000:00:02.2"}) {
    tree.add({.bdf = bdf, .driver = "nvme"});
    const ChangePlan one = *binding().bind(*Bdf::parse(bdf));
    plan.insert(plan.end(), one.begin(), one.end());
  }
  tree.refuse("/0000:00:02.2/driver_override", EROFS);
  const auto bound = carry_out(plan);
  ASSERT_FALSE(bound);
  EXPECT_EQ(bound.error().device, "0000:00:02.2");
  for (const char* bdf : {"0000:00:02.0", "0000:00:02.1", "0000:00:02.2"}) {
    EXPECT_EQ(tree.driver_of(bdf), "nvme") << bdf;
    EXPECT_EQ(tree.sysfs().function(*Bdf::parse(bdf))->driver_override, "") << bdf;
    EXPECT_FALSE(std::filesystem::exists(tree.records() / bdf)) << bdf;
  }
  std::vector<std::string> given_back;
  for (const std::string& asked : tree.asked()) {
    if (asked.starts_with("bus/pci/drivers/nvme/bind")) given_back.push_back(asked.substr(28));
  }
  EXPECT_THAT(given_back, ElementsAre("0000:00:02.1", "0000:00:02.0"));
}

TEST_F(BindingTest, WithoutVfioPciNothingIsPlanned) {
  tree.add({.driver = "nvme"});
  const std::string load =
      "0000:00:02.0: cannot find driver vfio-pci: the driver is not loaded. Load it with 'modprobe "
      "vfio-pci'";
  EXPECT_EQ(binding().bind(kDevice).error().message(), load);
  tree.put("modules/modules.dep", "kernel/drivers/vfio/pci/vfio-pci.ko.zst: kernel/vfio.ko\n");
  EXPECT_EQ(binding().bind(kDevice).error().message(), load);
}

TEST_F(BindingTest, AKernelWithoutVfioPciIsNotAskedToLoadIt) {
  tree.add({.driver = "nvme"}).put("modules/modules.dep", "kernel/drivers/nvme/host/nvme.ko:\n");
  EXPECT_EQ(binding().bind(kDevice).error().message(),
            "0000:00:02.0: cannot find driver vfio-pci: the driver is not loaded, and this kernel "
            "has no module of that name. Boot a kernel with CONFIG_VFIO_PCI");
}

TEST_F(BindingTest, ABridgeAndADeviceWithoutIommuAreNotBound) {
  tree.add_driver("vfio-pci");
  tree.add({.bdf = "0000:00:01.0", .group = 1, .bridge = true})
      .add({.bdf = "0000:00:02.0", .group = std::nullopt});
  EXPECT_EQ(binding().bind(Bdf{.device = 1}).error().code, EINVAL);
  EXPECT_EQ(binding().bind(Bdf{.device = 2}).error().code, ENODEV);
  EXPECT_EQ(binding().bind(Bdf{.device = 3}).error().code, ENOENT);
}

TEST_F(BindingTest, ADriverThatIsGoneIsNamedAndTheDeviceStays) {
  tree.add_driver("vfio-pci").add({.driver = "nvme"});
  ASSERT_TRUE(bind());
  tree.remove_driver("nvme");
  EXPECT_EQ(
      binding().unbind(kDevice).error().message(),
      "0000:00:02.0: cannot find driver nvme: the device's former driver is no longer loaded. Load "
      "it with 'modprobe nvme'");
  EXPECT_EQ(tree.driver_of(kName), "vfio-pci");
}

// The hint must name a module that exists: the names of drivers and of modules differ.
TEST_F(BindingTest, TheHintAboutADriverThatIsGoneNamesModulesThatTheKernelHas) {
  tree.add_driver("vfio-pci").add({.driver = "xhci_hcd"});
  ASSERT_TRUE(bind());
  tree.remove_driver("xhci_hcd");
  const auto advice = [&] { return binding().unbind(kDevice).error().advice; };

  tree.put("modules/modules.alias", "alias pci:v00001B36d00000010sv*sd*bc*sc*i* xhci_pci\n");
  EXPECT_EQ(advice(), "Load the modules of the device: 'modprobe -a xhci_pci'");
  tree.put("modules/modules.alias", "alias pci:v00001B36d00000010sv*sd*bc*sc*i* xhci-hcd\n");
  EXPECT_EQ(advice(), "Load it with 'modprobe xhci_hcd'");

  tree.put("modules/modules.alias", "alias pci:v00008086d*sv*sd*bc*sc*i* e1000e\n");
  tree.put("modules/modules.dep", "kernel/drivers/usb/host/xhci-hcd.ko.xz: \n");
  EXPECT_EQ(advice(), "Load it with 'modprobe xhci_hcd'");
  tree.put("modules/modules.dep", "kernel/drivers/nvme/host/nvme.ko: kernel/xhci-hcd.ko\n");
  EXPECT_EQ(advice(), "This kernel has no module for it. Remove " +
                          (tree.records() / kName).string() + "; the kernel then chooses a driver");
  std::filesystem::remove(tree.records() / kName);  // as the hint says
  EXPECT_TRUE(unbind());
}

TEST_F(BindingTest, ARecordOfUnknownFormIsRefusedBeforeAnythingIsWritten) {
  tree.add_driver("vfio-pci").add({.driver = "nvme"});
  ASSERT_TRUE(bind());
  const std::string good = "device=1b36:0010\nvfio_driver=vfio-pci\n";
  for (const std::string& bad : std::vector<std::string>{
           "", "nvme", good, good + "driver=nvme", good + "driver=nvme\n",
           good + "driver=../../x\noverride=\n", good + "driver=..\noverride=\n",
           good + "driver=nvme\noverride=\nmore\n", good + "override=\ndriver=nvme\n",
           "driver=nvme\noverride=\n",
           "device=1b36-0010\nvfio_driver=vfio-pci\ndriver=nvme\noverride=\n",
           "device=1b36:001\nvfio_driver=vfio-pci\ndriver=nvme\noverride=\n",
           "device=1b3x:0010\nvfio_driver=vfio-pci\ndriver=nvme\noverride=\n",
           "device=1b36:0010\nvfio_driver=\ndriver=nvme\noverride=\n"}) {
    tree.put("run/passthru/0000:00:02.0", bad);
    const auto plan = binding().unbind(kDevice);
    ASSERT_FALSE(plan) << bad;
    EXPECT_EQ(plan.error().code, EINVAL) << bad;
    EXPECT_EQ(plan.error().message(),
              "0000:00:02.0: cannot read " + (tree.records() / kName).string() +
                  ": the file is not a record of the device's former driver. Remove the file; the "
                  "kernel then chooses a driver");
  }
  std::filesystem::remove(tree.records() / kName);  // as the hint says
  ASSERT_TRUE(unbind());
  EXPECT_EQ(driver(), "nvme");
}

}  // namespace
}  // namespace passthru
