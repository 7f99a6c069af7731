// SPDX-License-Identifier: MIT
// Tests that the planned writes work on a real driver core. Each device that is bound to vfio-pci
// goes to its host driver and comes back. Do not run this with a device that the host's drivers
// must not touch.
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>

#include "prepare/binding.h"
#include "tests/hil/bound_devices.h"
#include "vfio/group.h"

namespace passthru {
namespace {

class Rebind : public ::testing::TestWithParam<BoundDevice> {
 protected:
  void SetUp() override {
    std::string name =
        (std::filesystem::temp_directory_path() / "passthru-records-XXXXXX").string();
    ASSERT_NE(::mkdtemp(name.data()), nullptr);
    records = name;
  }
  void TearDown() override {
    bind();  // in any case, for the following tests
    std::filesystem::remove_all(records);
  }
  Binding binding() const { return Binding(Sysfs(), records); }
  void bind() {
    const auto plan = binding().bind(GetParam().bdf);
    ASSERT_TRUE(plan) << plan.error().message();
    const auto done = carry_out(*plan);
    ASSERT_TRUE(done) << done.error().message();
    EXPECT_EQ(driver(), "vfio-pci");
  }
  void unbind() {
    const auto plan = binding().unbind(GetParam().bdf);
    ASSERT_TRUE(plan) << plan.error().message();
    const auto done = carry_out(*plan);
    ASSERT_TRUE(done) << done.error().message();
    EXPECT_EQ(Sysfs().function(GetParam().bdf)->driver_override, "");
  }
  std::string driver() const { return Sysfs().function(GetParam().bdf)->driver; }

  std::filesystem::path records;
};

TEST_P(Rebind, ADeviceComesBackToTheDriverThatItHad) {
  unbind();  // the previous driver is unknown: the kernel chooses
  const std::string host_driver = driver();
  EXPECT_NE(host_driver, "vfio-pci");
  bind();
  EXPECT_TRUE(std::filesystem::exists(records / GetParam().bdf.str()));
  EXPECT_TRUE(assignable_group(Sysfs(), GetParam().bdf));
  unbind();
  EXPECT_EQ(driver(), host_driver);
  EXPECT_TRUE(std::filesystem::is_empty(records));
}

TEST_P(Rebind, ADriverThatRefusesTheDeviceLeavesItAsItWas) {
  unbind();
  const std::string host_driver = driver();
  auto plan = binding().bind(GetParam().bdf);
  ASSERT_TRUE(plan) << plan.error().message();
  // Change the override so that it names no existing driver, and vfio-pci does not match the
  // device.
  for (PlannedChange& planned : *plan) {
    if (planned.change.file.filename() == "driver_override")
      planned.change.value = "no-such-driver";
  }
  const auto done = carry_out(*plan);
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().code, ENODEV);
  EXPECT_EQ(done.error().device, GetParam().bdf.str());
  EXPECT_EQ(driver(), host_driver);
  EXPECT_EQ(Sysfs().function(GetParam().bdf)->driver_override, "");
}

GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(Rebind);
INSTANTIATE_TEST_SUITE_P(Linux, Rebind, testing::ValuesIn(bound_devices()),
                         [](const auto& each) { return each.param.name(); });

}  // namespace
}  // namespace passthru
