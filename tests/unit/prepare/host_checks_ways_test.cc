// SPDX-License-Identifier: MIT
// Tests of `passthru doctor` if one of the two ways to open a device is blocked: its group or its
// own node.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "tests/unit/prepare/host_checks_facts.h"

namespace passthru {
namespace {

/// A device and its host.
struct Both {
  HostFacts host;
  DeviceFacts device;

  std::vector<HostCheck> checks() const {
    std::vector<HostCheck> all = check_host(host, &device);
    for (HostCheck& check : check_device(device, host)) all.push_back(std::move(check));
    return all;
  }
};

/// Only the device's own node can be opened; groups cannot.
Both ready_by_node() {
  Both both{ready_host(), ready_device()};
  both.host.iommufd = true;
  both.host.vfio_iommu_type1 = false;
  both.host.container_errno = ENOENT;
  both.device.cdev = "vfio0";
  both.device.group_errno = EACCES;
  return both;
}

void let_groups_be_opened(Both& both) {
  both.host.vfio_iommu_type1 = true;
  both.host.container_errno = 0;
  both.device.group_errno = 0;
}

TEST(CheckBothWays, WhatIsNotNeededIsSaidToBeSoWithWhatMendsIt) {
  const auto checks = ready_by_node().checks();
  const std::string not_needed =
      "; not needed: this user may open the device's own node and /dev/iommu > ";
  EXPECT_EQ(said_of(checks, "vfio_iommu_type1"),
            "warn vfio_iommu_type1: the module vfio_iommu_type1 is not loaded" + not_needed +
                "'modprobe vfio_iommu_type1'");
  EXPECT_EQ(said_of(checks, "container"),
            "warn container: /dev/vfio/vfio cannot be opened: VFIO is not loaded" + not_needed +
                "'modprobe vfio-pci'");
  EXPECT_EQ(said_of(checks, "group_node"),
            "warn group_node: /dev/vfio/5 cannot be opened: permission denied" + not_needed +
                "Run as root, or give this user the node: 'chown \"$USER\" /dev/vfio/5'");
}

struct WayCase {
  const char* when;
  void (*damage)(Both& both);
  const char* said;  ///< the answers other than ok
  bool ready;
};

class CheckBothWaysSays : public testing::TestWithParam<WayCase> {};

TEST_P(CheckBothWaysSays, NoOnlyWhereNeitherIsOpen) {
  Both both = ready_by_node();
  GetParam().damage(both);
  const auto checks = both.checks();
  auto said = answers(checks);
  std::erase_if(said, [](const std::string& answer) { return answer.starts_with("ok "); });
  EXPECT_EQ(fmt::format("{}", fmt::join(said, ", ")), GetParam().said) << GetParam().when;
  EXPECT_EQ(is_ready(checks), GetParam().ready) << GetParam().when;
}

INSTANTIATE_TEST_SUITE_P(
    All, CheckBothWaysSays,
    testing::Values(
        WayCase{"only the node can be opened", [](Both&) {},
                "warn vfio_iommu_type1, warn container, warn group_node", true},
        WayCase{"the kernel has no groups", [](Both& both) { both.device.group_errno = ENOENT; },
                "warn vfio_iommu_type1, warn container, warn group_node", true},
        WayCase{"the node cannot be opened", [](Both& both) { both.device.cdev_errno = EACCES; },
                "no vfio_iommu_type1, no container, no group_node, warn cdev", false},
        WayCase{"the kernel has no device nodes", [](Both& both) { both.device.cdev.clear(); },
                "no vfio_iommu_type1, no container, no group_node", false},
        WayCase{"the iommufd cannot be opened",
                [](Both& both) { both.host.iommufd_errno = EACCES; },
                "no vfio_iommu_type1, no container, warn iommufd, no group_node", false},
        WayCase{"the kernel has no iommufd",
                [](Both& both) {
                  both.host.iommufd = false;
                  both.host.iommufd_errno = ENOENT;
                },
                "no vfio_iommu_type1, no container, no group_node", false},
        WayCase{"the device needs a VF token",
                [](Both& both) {
                  both.device.physical = PciFunction{.driver = "vfio-pci", .on_vfio = true};
                },
                "no vfio_iommu_type1, no container, no group_node, warn vf_token", false},
        WayCase{"its physical function is on a host driver",
                [](Both& both) { give_physical(both.device); },
                "warn vfio_iommu_type1, warn container, warn group_node", true},
        WayCase{"the device is not bound yet",
                [](Both& both) {
                  give_to_host(both.device);
                  both.device.cdev.clear();
                  both.device.group_errno = ENOENT;
                },
                "warn vfio_iommu_type1, warn container, no driver, unknown group_node", false},
        WayCase{"everything can be opened", let_groups_be_opened, "", true},
        WayCase{"the group can be opened but not the node",
                [](Both& both) {
                  let_groups_be_opened(both);
                  both.device.cdev_errno = EACCES;
                },
                "warn cdev", true},
        WayCase{"the group can be opened but not the iommufd",
                [](Both& both) {
                  let_groups_be_opened(both);
                  both.host.iommufd_errno = EACCES;
                },
                "warn iommufd", true}));

}  // namespace
}  // namespace passthru
