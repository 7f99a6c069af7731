// SPDX-License-Identifier: MIT
// Tests of naming the process that keeps a device from being unbound.
#include "prepare/vfio_users.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/fakes/sysfs_tree.h"

namespace passthru {
namespace {

using testing::HasSubstr;
using testing::Not;

constexpr const char* kVfioDevice = "anon_inode:[vfio-device]";

class VfioUsers : public testing::Test {
 protected:
  VfioUsers() {
    tree.add({.driver = "vfio-pci", .group = 971, .vfio_dev = true});
    tree.put("run/proc/version", "Linux\n");
  }
  std::string refusal(int group_errno = 0) {
    const auto free = require_no_vfio_user(tree.sysfs(), tree.root() / "run/proc", Bdf{.device = 2},
                                           [&](uint32_t group) -> Result<void> {
                                             EXPECT_EQ(group, 971U);
                                             ++tries;
                                             if (group_errno != 0)
                                               return fail(group_errno, "open the group");
                                             return {};
                                           });
    return free ? "" : free.error().message();
  }
  void put_fdinfo(int pid, int fd, const std::string& text) {
    tree.put("run/proc/" + std::to_string(pid) + "/fdinfo/" + std::to_string(fd), text);
  }

  SysfsTree tree;
  int tries = 0;
};

TEST_F(VfioUsers, ADeviceWithoutUserIsFree) {
  tree.add_process(8, "qemu", {"/dev/vfio/972", "/dev/vfio/vfio"});
  EXPECT_EQ(refusal(), "");
  EXPECT_EQ(tries, 1);
}

TEST_F(VfioUsers, Case5AProcessThatHasTheGroupIsNamed) {
  tree.add_process(4711, "qemu-system-x86_64 -name web", {"/dev/vfio/vfio", "/dev/vfio/971"});
  EXPECT_EQ(refusal(),
            "0000:00:02.0: cannot unbind the device: process 4711 (qemu-system-x86_64 -name web) "
            "has /dev/vfio/971 open. End the guest first: 'kill 4711'");
  EXPECT_EQ(tries, 0) << "an open of the group could disturb its user";
}

// SIGTERM alone does not end a stopped process.
TEST_F(VfioUsers, Case5AStoppedProcessIsNamedWithACommandThatEndsIt) {
  tree.add_process(4711, "passthru run", {"/dev/vfio/971"});
  tree.put("run/proc/4711/stat", "4711 (passthru) T 1 1\n");
  EXPECT_EQ(refusal(),
            "0000:00:02.0: cannot unbind the device: process 4711 (passthru run, stopped) has "
            "/dev/vfio/971 open. End the guest first: 'kill 4711 && kill -CONT 4711'");
}

TEST_F(VfioUsers, Case5AProcessThatHasTheOwnNodeIsNamed) {
  tree.add({.bdf = "0000:00:03.0", .driver = "vfio-pci", .group = 972, .cdev = "vfio971"});
  tree.add_process(12, "vmm", {"/dev/vfio/devices/vfio971"});
  const auto free = require_no_vfio_user(tree.sysfs(), tree.root() / "run/proc", Bdf{.device = 3},
                                         [](uint32_t) { return Result<void>(); });
  ASSERT_FALSE(free);
  EXPECT_EQ(free.error().cause, "process 12 (vmm) has /dev/vfio/devices/vfio971 open");
}

TEST_F(VfioUsers, Case5ADescriptorIsFoundByItsPathInSysfs) {
  tree.add_process(8, "other", {kVfioDevice}).add_process(9, "vmm", {kVfioDevice});
  put_fdinfo(8, 0, "pos:\t0\nvfio-device-syspath: /sys/devices/pci0000:00/0000:00:12.0\n");
  put_fdinfo(9, 0, "pos:\t0\nvfio-device-syspath: /sys/devices/pci0000:00/0000:00:02.0\n");
  EXPECT_EQ(refusal(),
            "0000:00:02.0: cannot unbind the device: process 9 (vmm) has the device open. End the "
            "guest first: 'kill 9'");
}

// Kernels before 6.18 do not say to which device a descriptor belongs.
TEST_F(VfioUsers, Case5WithoutAPathTheProcessesAreOnlyNamedIfTheGroupIsBusy) {
  tree.add_process(8, "vmm", {kVfioDevice}).add_process(9, "vmm -n 2", {kVfioDevice});
  put_fdinfo(8, 0, "pos:\t0\n");
  EXPECT_EQ(refusal(), "");
  EXPECT_EQ(refusal(EBUSY),
            "0000:00:02.0: cannot unbind the device: another process uses IOMMU group 971; these "
            "have devices of VFIO open: process 8 (vmm), process 9 (vmm -n 2). End the guest that "
            "has it");
}

TEST_F(VfioUsers, Case5AUserOfAnotherPidNamespaceIsNotNamed) {
  EXPECT_EQ(refusal(EBUSY),
            "0000:00:02.0: cannot unbind the device: another process uses IOMMU group 971, and "
            "/proc does not show which. End the guest that has it. It may run in a container with "
            "processes of its own");
  EXPECT_THAT(refusal(EBUSY), Not(HasSubstr("kill")));
}

TEST_F(VfioUsers, AGroupThatTheCallerMayNotOpenIsNotBusy) {
  EXPECT_EQ(refusal(EACCES), "");
}

TEST_F(VfioUsers, ADeviceOfAHostDriverHasNoUserOfVfio) {
  tree.remove("0000:00:02.0").add({.driver = "nvme", .group = 971});
  tree.add_process(4711, "qemu", {"/dev/vfio/971"});
  EXPECT_EQ(refusal(EBUSY), "");
}

}  // namespace
}  // namespace passthru
