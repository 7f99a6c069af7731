// SPDX-License-Identifier: MIT
// Tests of the trial that `passthru doctor` makes with a device that seems ready.
#include "prepare/attach_trial.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "tests/fakes/fake_kernel.h"
#include "tests/fakes/sysfs_tree.h"
#include "tests/unit/prepare/host_checks_facts.h"

namespace passthru {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;
using testing::StartsWith;

class AttachTrial : public testing::TestWithParam<bool> {
 protected:
  AttachTrial() {
    kernel.add(spec);
    device.function.bdf = spec.bdf;
    device.function.iommu_group = spec.group;
    device.cdev = spec.cdev();
    host.iommufd = true;
  }
  std::string said() {
    const HostRoots roots{.sys = tree.root(), .proc = tree.root(), .dev = tree.root()};
    std::string text = line(check_attach(try_attach(kernel, roots, device, GetParam())));
    EXPECT_TRUE(kernel.nothing_leaked()) << text;
    return text;
  }
  static const char* node() { return GetParam() ? "open_cdev" : "open_group"; }

  FakeSpec spec = FakeSpec::nvme();
  FakeKernel kernel;
  SysfsTree tree;
  HostFacts host = ready_host();
  DeviceFacts device = ready_device();
};

TEST_P(AttachTrial, MapsAPageAndDoesNotResetTheDevice) {
  EXPECT_EQ(said(), "ok attach: tried: the nodes open, and a page was mapped for DMA > ");
  EXPECT_EQ(kernel.calls(GetParam() ? "IOMMU_IOAS_MAP" : "VFIO_IOMMU_MAP_DMA").size(), 1U);
  EXPECT_THAT(kernel.calls("VFIO_GROUP_GET_DEVICE_FD"), IsEmpty());
  EXPECT_THAT(kernel.calls("VFIO_DEVICE_BIND_IOMMUFD"), IsEmpty());
}

TEST_P(AttachTrial, ANodeThatItsModeAllowsIsForbiddenByASecurityModule) {
  kernel.fail(node(), EACCES);
  EXPECT_THAT(said(), HasSubstr("a security module (SELinux, AppArmor) does not > The kernel's log "
                                "or the audit log names the rule"));
}

TEST_P(AttachTrial, ANodeThatADeviceCgroupForbidsIsNotExplainedByAModule) {
  kernel.fail(node(), EPERM);
  const std::string text = said();
  EXPECT_THAT(text, StartsWith("no attach: "));
  EXPECT_THAT(text, HasSubstr("device cgroup"));
  EXPECT_THAT(text, HasSubstr("DeviceAllow=/dev/vfio/"));
}

TEST_P(AttachTrial, WhateverCallFailsNothingStaysOpen) {
  said();
  const size_t calls = kernel.calls().size();
  for (unsigned nth = 1; nth <= calls; ++nth) {
    kernel.forget_calls();
    kernel.fail("*", EIO, nth);
    said();
  }
}

INSTANTIATE_TEST_SUITE_P(Ways, AttachTrial, testing::Bool(), [](const auto& by_node) {
  return std::string(by_node.param ? "ByNode" : "ByGroup");
});

using AttachTrialByGroup = AttachTrial;

TEST_P(AttachTrialByGroup, MemoryThatFirmwareReservesIsNamed) {
  tree.put("kernel/iommu_groups/2/reserved_regions",
           "0x00000000df000000 0x00000000df1fffff direct\n");
  kernel.fail("VFIO_SET_IOMMU", EPERM);
  EXPECT_THAT(said(), HasSubstr("firmware reserves the memory 0xdf000000 to 0xdf1fffff"));
}

TEST_P(AttachTrialByGroup, AProcessThatNoOtherCheckSeesKeepsTheDevice) {
  kernel.fail("open_group", EBUSY);
  EXPECT_EQ(said(),
            "no attach: a trial has failed: cannot call open_group: another process uses group 2 > "
            "'fuser -v /dev/vfio/2' shows the process");
}

TEST_P(AttachTrialByGroup, TheWayIsThatOfAVmm) {
  EXPECT_TRUE(opens_by_node(host, device));
  device.cdev_errno = EACCES;
  EXPECT_FALSE(opens_by_node(host, device));
  device.cdev_errno = 0;
  device.physical = PciFunction{.driver = "vfio-pci", .on_vfio = true};
  EXPECT_FALSE(opens_by_node(host, device)) << "the VF token goes through the group";
  device.physical->on_vfio = false;
  EXPECT_TRUE(opens_by_node(host, device));
  host.iommufd = false;
  EXPECT_FALSE(opens_by_node(host, device));
}

INSTANTIATE_TEST_SUITE_P(Group, AttachTrialByGroup, testing::Values(false));

TEST(ExplainForbidden, AMountWithNodevIsNotASecurityModule) {
  const Error denied{.code = EACCES, .operation = "open /dev/vfio/5"};
  EXPECT_EQ(explain_forbidden(denied, true).message(),
            "cannot open /dev/vfio/5: its file system is mounted with nodev. Mount /dev without "
            "nodev: 'mount -o remount,dev' with the mount point");
  EXPECT_THAT(explain_forbidden(denied, false).message(), HasSubstr("a security module"));
}

}  // namespace
}  // namespace passthru
