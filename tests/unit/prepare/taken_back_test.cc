// SPDX-License-Identifier: MIT
// Tests of naming the id by which vfio-pci takes a device again. The hints are carried out.
#include "prepare/taken_back.h"

#include <gmock/gmock.h>

#include "tests/unit/prepare/binding_fixture.h"

namespace passthru {
namespace {

using testing::HasSubstr;
using testing::Not;

class TakenBack : public BindingTest {
 protected:
  // The module was loaded with `ids=`, before the host's driver: it took the device without `bind`.
  void SetUp() override {
    tree.add_driver("vfio-pci").add({.driver = "nvme"});
    write("drivers/nvme/unbind", kName);
    tree.add_dynamic_id("vfio-pci", 0x1b36, 0x0010);
    write("drivers_probe", kName);
    ASSERT_EQ(driver(), "vfio-pci");
  }
  void write(const std::string& below_bus, const std::string& line) {
    const auto written =
        tree.apply({FileChange::Kind::Write, tree.root() / "bus/pci" / below_bus, line});
    ASSERT_TRUE(written) << below_bus << ": " << written.error().message();
  }
  Error error() const {
    const auto now = tree.sysfs().function(kDevice);
    return taken_back(tree.root(), now.value_or(PciFunction()));
  }
};

TEST_F(TakenBack, Case4WithoutARecordTheKernelGivesTheDeviceToTheDynamicIdAgain) {
  ASSERT_TRUE(unbind());
  EXPECT_EQ(driver(), "vfio-pci");
  EXPECT_FALSE(has_record());
  EXPECT_EQ(error().code, EBUSY);
  EXPECT_EQ(error().message(),
            "0000:00:02.0: cannot give the device to a host driver: vfio-pci took it again by a "
            "dynamic id, which was written to new_id, or given as ids= when the module was loaded. "
            "Remove the id with 'echo 1b36 0010 > /sys/bus/pci/drivers/vfio-pci/remove_id', then "
            "repeat 'passthru unbind 0000:00:02.0'");
}

TEST_F(TakenBack, Case4TheHintReturnsTheDeviceToTheHost) {
  ASSERT_TRUE(unbind());
  write("drivers/vfio-pci/remove_id", "1b36 0010");
  ASSERT_TRUE(unbind());
  EXPECT_EQ(driver(), "nvme");
}

// The record names the driver, and the kernel has no choice.
TEST_F(TakenBack, Case4AfterABindTheDynamicIdDoesNotMatter) {
  write("drivers/vfio-pci/unbind", kName);
  write("drivers/nvme/bind", kName);
  ASSERT_TRUE(bind());
  ASSERT_TRUE(unbind());
  EXPECT_EQ(driver(), "nvme");
}

TEST_F(TakenBack, Case4TheParameterOnTheCommandLineIsNamed) {
  tree.put("proc/cmdline", "root=/dev/sda1 vfio_pci.ids=8086:10d3,1b36:0010 quiet\n");
  EXPECT_EQ(
      error().message(),
      "0000:00:02.0: cannot give the device to a host driver: vfio-pci took it again, because "
      "the kernel's command line has vfio_pci.ids=8086:10d3,1b36:0010. Remove the id with "
      "'echo 1b36 0010 > /sys/bus/pci/drivers/vfio-pci/remove_id', then repeat 'passthru "
      "unbind 0000:00:02.0'. Remove the parameter from the boot loader's configuration, or "
      "the id returns at the next boot");
}

TEST_F(TakenBack, Case4TheFileOfModprobeIsNamed) {
  tree.put("etc/modprobe.d/vfio.conf",
           "# passthrough\noptions vfio-pci disable_vga=1 ids=1b36:0010\n");
  const std::string file = (tree.root() / "etc/modprobe.d/vfio.conf").string();
  EXPECT_EQ(error().cause, "vfio-pci took it again, because " + file +
                               " has 'options vfio-pci disable_vga=1 ids=1b36:0010'");
  EXPECT_THAT(error().advice, HasSubstr(". Remove the parameter from " + file + ", or the id"));
}

TEST_F(TakenBack, Case4BothParametersAreNamedIfBothHaveTheId) {
  tree.put("proc/cmdline", "vfio-pci.ids=1b36:0010\n");
  tree.put("lib/modprobe.d/x.conf", "options vfio_pci ids=1b36:0010\n");
  EXPECT_THAT(error().cause, HasSubstr("vfio-pci.ids=1b36:0010 and "));
  EXPECT_THAT(error().advice, HasSubstr("boot loader's configuration. Remove the parameter from "));
}

// An entry without a device id matches all devices of the vendor, and is removed by its own ids.
TEST_F(TakenBack, Case4AnIdForAllDevicesOfAVendorIsRemovedAsItWasAdded) {
  tree.put("proc/cmdline", "vfio-pci.ids=1b36\n");
  EXPECT_THAT(error().advice, HasSubstr("'echo 1b36 ffffffff > "));
}

struct OtherText {
  const char* name;
  const char* file;
  const char* text;
};

class TakenBackByAnotherId : public TakenBack, public testing::WithParamInterface<OtherText> {};

// A parameter that does not match this device is not the cause.
TEST_P(TakenBackByAnotherId, Case4AParameterForOtherDevicesIsNotNamed) {
  tree.put(GetParam().file, GetParam().text);
  EXPECT_THAT(error().cause, HasSubstr("by a dynamic id"));
  EXPECT_THAT(error().advice, Not(HasSubstr("parameter")));
}

INSTANTIATE_TEST_SUITE_P(
    Parameters, TakenBackByAnotherId,
    testing::Values(
        OtherText{"OtherDevice", "proc/cmdline", "vfio-pci.ids=1b36:0011\n"},
        OtherText{"OtherSubsystem", "proc/cmdline", "vfio-pci.ids=1b36:0010:1234:1100\n"},
        OtherText{"OtherClass", "proc/cmdline",
                  "vfio-pci.ids=1b36:0010:ffffffff:ffffffff:030000:ff0000\n"},
        OtherText{"OtherModule", "proc/cmdline", "pci-stub.ids=1b36:0010\n"},
        OtherText{"NoNumber", "proc/cmdline", "vfio-pci.ids=1b36:00x0\n"},
        OtherText{"Comment", "etc/modprobe.d/a.conf", "#options vfio-pci ids=1b36:0010\n"},
        OtherText{"OtherOption", "etc/modprobe.d/a.conf", "options vfio-pci noids=1b36:0010\n"},
        OtherText{"NotAConfiguration", "etc/modprobe.d/a.bak", "options vfio-pci ids=1b36:0010\n"}),
    [](const auto& text) { return text.param.name; });

TEST_F(TakenBack, Case4ASubsystemAndAClassThatMatchAreAccepted) {
  tree.put("proc/cmdline", "vfio-pci.ids=0x1b36:0x0010:1af4:1100:010802:ffffff\n");
  EXPECT_THAT(error().cause, HasSubstr("command line has"));
}

// remove_id would fail here: an override took the device, not an id.
TEST_F(TakenBack, Case4AnOverrideOfAnotherProgramIsNotCalledADynamicId) {
  tree.put("bus/pci/devices/0000:00:02.0/driver_override", "vfio-pci\n");
  EXPECT_EQ(error().message(),
            "0000:00:02.0: cannot give the device to a host driver: another program has set its "
            "driver_override to vfio-pci again. Stop that program, then repeat 'passthru unbind "
            "0000:00:02.0'");
}

}  // namespace
}  // namespace passthru
