// SPDX-License-Identifier: MIT
// Tests of a drive whose virtual functions are also on vfio-pci. Opening the physical function sets
// the token; opening a virtual function requires it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/device/assigned_fixture.h"
#include "tests/unit/vfio/virtual_function.h"
#include "vfio/device.h"

namespace passthru {
namespace {

using ::testing::HasSubstr;

constexpr Bdf kOther{.device = 2};

class AssignedVfTokenTest : public VmFixture {
 protected:
  AssignedVfTokenTest() {
    FakeSpec physical = FakeSpec::nvme(kPhysical, 7);
    physical.sriov = true;
    plug(physical);
    sysfs.put("bus/pci/devices/0000:01:00.0/sriov_totalvfs", "2\n");
    FakeSpec spec = FakeSpec::nvme_vf(kVirtual, 8);
    spec.physical = kPhysical;
    plug(spec);
    sysfs.link("bus/pci/devices/0000:01:00.1/physfn", "bus/pci/devices/0000:01:00.0");
    plug(FakeSpec::nvme(kOther, 2));
  }
  Result<std::unique_ptr<AssignedDevice>> open(Bdf bdf, std::optional<VfToken> token) {
    return AssignedDevice::open(domain, {.device = bdf, .vf_token = token});
  }

  const VfToken right = *VfToken::parse("bd8d9d2b-5a5f-4f5a-a211-f591514ba1f3");
  const VfToken wrong = *VfToken::parse("bd8d9d2b-5a5f-4f5a-a211-f591514ba1f4");
};

TEST_F(AssignedVfTokenTest, OnlyWhoHasTheTokenOfThePhysicalFunctionsOwnerOpensAVirtualFunction) {
  const auto owner = open(kPhysical, right);
  ASSERT_TRUE(owner) << owner.error().message();
  const auto without = open(kVirtual, {});
  ASSERT_FALSE(without);
  EXPECT_EQ(without.error().code, EACCES);
  EXPECT_THAT(without.error().message(),
              HasSubstr("0000:01:00.1: cannot call VFIO_GROUP_GET_DEVICE_FD: its physical function "
                        "0000:01:00.0 is on vfio-pci"));
  EXPECT_THAT(open(kVirtual, wrong).error().message(), HasSubstr("this is not the token"));
  const auto user = open(kVirtual, right);
  EXPECT_TRUE(user) << user.error().message();
}

TEST_F(AssignedVfTokenTest, WhileAVirtualFunctionIsInUseItsPhysicalFunctionOpensWithItsTokenOnly) {
  ASSERT_TRUE(open(kPhysical, right)) << "opened and closed";
  const auto user = open(kVirtual, right);
  ASSERT_TRUE(user) << user.error().message();
  EXPECT_THAT(open(kPhysical, {}).error().message(), HasSubstr("its virtual functions are in use"));
  EXPECT_EQ(open(kPhysical, wrong).error().code, EACCES);
  EXPECT_TRUE(open(kPhysical, right));
}

TEST_F(AssignedVfTokenTest, ATokenThatIsOfNoUseIsRefusedBeforeAnythingIsOpened) {
  const auto refused = open(kOther, right);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, EINVAL);
  EXPECT_THAT(refused.error().message(), HasSubstr("neither is a virtual function nor"));
  EXPECT_TRUE(kernel->calls().empty());
}

TEST_F(AssignedVfTokenTest, AKernelThatAsksForItWhenANodeIsBoundIsExplained) {
  FakeSpec spec = FakeSpec::nvme_vf(kVirtual, 8);
  const auto bind = [&](const char* failing) {
    kernel->fail(failing, EACCES);
    return VfioDevice::open(*kernel, domain.dma(), spec.cdev_door(), false, &domain.sysfs());
  };
  const auto refused = bind("VFIO_DEVICE_BIND_IOMMUFD");
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, EACCES);
  EXPECT_THAT(refused.error().message(),
              HasSubstr("0000:01:00.1: cannot call VFIO_DEVICE_BIND_IOMMUFD: its physical function "
                        "0000:01:00.0 is on vfio-pci"));
  EXPECT_THAT(refused.error().advice, HasSubstr("--backend=group"));
  EXPECT_THAT(bind("open_iommufd").error().cause, HasSubstr("permission denied"));
  EXPECT_TRUE(kernel->nothing_leaked());
}

TEST_F(AssignedVfTokenTest, TheTokenIsSetAsAFeatureOfThePhysicalFunctionToo) {
  kernel->fail("VFIO_DEVICE_FEATURE", EPERM);
  const auto owner = open(kPhysical, right);
  ASSERT_FALSE(owner);
  EXPECT_EQ(owner.error().code, EPERM);
  EXPECT_TRUE(kernel->nothing_leaked());
}

}  // namespace
}  // namespace passthru
