// SPDX-License-Identifier: MIT
// Tests of the exact texts of `passthru doctor`, and of what it calls ready.
#include "prepare/host_checks.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/prepare/host_checks_facts.h"

namespace passthru {
namespace {

using testing::ElementsAre;

constexpr uint64_t kMiB = uint64_t{1} << 20;

TEST(CheckHost, AReadyMachineIsOkThroughout) {
  const auto checks = check_host(ready_host());
  EXPECT_THAT(answers(checks),
              ElementsAre("ok iommu", "ok interrupt_remapping", "ok vfio", "ok vfio_iommu_type1",
                          "ok vfio_pci", "ok container", "ok locked_memory", "ok iommufd"));
  EXPECT_TRUE(is_ready(checks));
  for (const HostCheck& check : checks) EXPECT_EQ(check.remedy, "") << check.name;
}

struct HostCase {
  const char* check;
  void (*damage)(HostFacts& facts);
  const char* said;
  bool ready;
};

class CheckHostSays : public testing::TestWithParam<HostCase> {};

TEST_P(CheckHostSays, WhatIsMissingAndWhatMendsIt) {
  HostFacts facts = ready_host();
  GetParam().damage(facts);
  const auto checks = check_host(facts);
  EXPECT_EQ(said_of(checks, GetParam().check), GetParam().said);
  EXPECT_EQ(is_ready(checks), GetParam().ready);
}

INSTANTIATE_TEST_SUITE_P(
    All, CheckHostSays,
    testing::Values(
        HostCase{
            "iommu", [](HostFacts& facts) { facts.iommu_groups = 0; },
            "no iommu: there is no IOMMU group: the IOMMU is off, or the machine has no IOMMU > "
            "Enable VT-d or AMD-Vi in the firmware; for VT-d, also boot Linux with intel_iommu=on",
            false},
        HostCase{"interrupt_remapping", [](HostFacts& facts) { facts.interrupt_remapping = false; },
                 "no interrupt_remapping: interrupt remapping is off: a guest could forge "
                 "interrupts of the host > Enable "
                 "it in the firmware (VT-d or AMD-Vi with interrupt remapping) and boot Linux "
                 "without intremap=off. If you trust the guest, write Y to "
                 "/sys/module/vfio_iommu_type1/parameters/allow_unsafe_interrupts and use "
                 "--allow-unsafe-interrupts",
                 false},
        HostCase{"interrupt_remapping", [](HostFacts& facts) { facts.interrupt_remapping.reset(); },
                 "unknown interrupt_remapping: cannot tell from /proc/interrupts; the kernel "
                 "refuses groups without interrupt remapping > ",
                 true},
        HostCase{"interrupt_remapping", [](HostFacts& facts) { facts.unsafe_interrupts = true; },
                 "no interrupt_remapping: vfio_iommu_type1 (or iommufd in its place) has "
                 "allow_unsafe_interrupts set, so the host may lack interrupt remapping, which "
                 "keeps a guest from forging interrupts > If the host has interrupt remapping, "
                 "write N to /sys/module/vfio_iommu_type1/parameters/allow_unsafe_interrupts. If "
                 "you trust the guest, use --allow-unsafe-interrupts",
                 false},
        HostCase{"vfio", [](HostFacts& facts) { facts.vfio = false; },
                 "no vfio: the module vfio is not loaded > 'modprobe vfio-pci'", false},
        HostCase{"vfio_iommu_type1", [](HostFacts& facts) { facts.vfio_iommu_type1 = false; },
                 "no vfio_iommu_type1: the module vfio_iommu_type1 is not loaded > 'modprobe "
                 "vfio_iommu_type1'",
                 false},
        HostCase{"vfio_pci", [](HostFacts& facts) { facts.vfio_pci = false; },
                 "no vfio_pci: the module vfio_pci is not loaded > 'modprobe vfio-pci'", false},
        HostCase{"container", [](HostFacts& facts) { facts.container_errno = ENOENT; },
                 "no container: /dev/vfio/vfio cannot be opened: VFIO is not loaded > 'modprobe "
                 "vfio-pci'",
                 false},
        HostCase{"container", [](HostFacts& facts) { facts.container_errno = EACCES; },
                 "no container: /dev/vfio/vfio cannot be opened: permission denied > Run as root, "
                 "or give "
                 "this user the node: 'chown \"$USER\" /dev/vfio/vfio'",
                 false},
        HostCase{"container", [](HostFacts& facts) { facts.container_errno = EPERM; },
                 "no container: /dev/vfio/vfio cannot be opened: the device cgroup of this process "
                 "does not allow it > Allow it where the container or the service is defined; for "
                 "systemd, DeviceAllow=/dev/vfio/vfio rw",
                 false},
        HostCase{"container", [](HostFacts& facts) { facts.container_errno = EROFS; },
                 "no container: /dev/vfio/vfio cannot be opened: Read-only file system > ", false},
        HostCase{
            "locked_memory", [](HostFacts& facts) { facts.lockable = 8 * kMiB; },
            "no locked_memory: RLIMIT_MEMLOCK is 8 MiB, but all memory of a guest must be "
            "locked > For a guest of 2 GiB, set LimitMEMLOCK=2G in the service's unit, or in this "
            "shell: 'prlimit --pid $$ --memlock=2147483648'",
            false},
        HostCase{
            "locked_memory", [](HostFacts& facts) { facts.lockable = 65536; },
            "no locked_memory: RLIMIT_MEMLOCK is 64 KiB, but all memory of a guest must be "
            "locked > For a guest of 2 GiB, set LimitMEMLOCK=2G in the service's unit, or in this "
            "shell: 'prlimit --pid $$ --memlock=2147483648'",
            false},
        HostCase{
            "locked_memory", [](HostFacts& facts) { facts.lockable = 64 * kMiB; },
            "warn locked_memory: RLIMIT_MEMLOCK is 64 MiB, but all memory of a guest must be "
            "locked > For a guest of 2 GiB, set LimitMEMLOCK=2G in the service's unit, or in this "
            "shell: 'prlimit --pid $$ --memlock=2147483648'",
            true},
        HostCase{"locked_memory", [](HostFacts& facts) { facts.lockable.reset(); },
                 "unknown locked_memory: RLIMIT_MEMLOCK cannot be read > ", true},
        HostCase{"iommufd", [](HostFacts& facts) { facts.iommufd = true; },
                 "ok iommufd: /dev/iommu may be opened by this user > ", true},
        HostCase{"iommufd",
                 [](HostFacts& facts) {
                   facts.iommufd = true;
                   facts.iommufd_errno = EACCES;
                 },
                 "warn iommufd: /dev/iommu cannot be opened: permission denied > Use the group "
                 "(--backend=group). Or: Run as root, or give this user the node: 'chown \"$USER\" "
                 "/dev/iommu'",
                 true},
        HostCase{
            "container",
            [](HostFacts& facts) {
              facts.iommufd = true;
              facts.container_errno = ENOENT;
            },
            "warn container: /dev/vfio/vfio cannot be opened: VFIO is not loaded; not needed for a "
            "device that has its own node: this user may open /dev/iommu > 'modprobe vfio-pci'",
            true},
        HostCase{
            "vfio_iommu_type1",
            [](HostFacts& facts) {
              facts.iommufd = true;
              facts.vfio_iommu_type1 = false;
            },
            "warn vfio_iommu_type1: the module vfio_iommu_type1 is not loaded; not needed for a "
            "device that has its own node: this user may open /dev/iommu > 'modprobe "
            "vfio_iommu_type1'",
            true},
        HostCase{"container",
                 [](HostFacts& facts) {
                   facts.iommufd = true;
                   facts.iommufd_errno = EACCES;
                   facts.container_errno = EACCES;
                 },
                 "no container: /dev/vfio/vfio cannot be opened: permission denied > Run as root, "
                 "or give "
                 "this user the node: 'chown \"$USER\" /dev/vfio/vfio'",
                 false}));

TEST(CheckHost, OneCommandLoadsVfioAndTheModulesThatItNeeds) {
  HostFacts facts = ready_host();
  facts.vfio = facts.vfio_iommu_type1 = facts.vfio_pci = false;
  facts.container_errno = ENOENT;
  const std::vector<std::string> load = {"modprobe vfio-pci"};
  for (const HostCheck& check : check_host(facts)) {
    if (check.answer == Answer::Ok) continue;
    EXPECT_EQ(check.commands, load) << check.name;
  }
}

TEST(CheckDevice, AReadyDeviceIsOkThroughout) {
  const auto checks = check_device(ready_device());
  EXPECT_THAT(answers(checks), ElementsAre("ok device", "ok in_use", "ok driver", "ok group",
                                           "ok group_node", "ok reset"));
  EXPECT_TRUE(is_ready(checks));
}

TEST(CheckDevice, WhatCannotBeAssignedIsToldAndNothingElse) {
  const Result<DeviceFacts> none = tl::unexpected(Error{.code = EINVAL,
                                                        .operation = "assign the device",
                                                        .device = "0000:00:02.0",
                                                        .cause = "it is a bridge",
                                                        .advice = "Assign the devices behind it"});
  const auto checks = check_device(none);
  ASSERT_EQ(checks.size(), 1U);
  EXPECT_EQ(line(checks[0]), "no device: it is a bridge > Assign the devices behind it");
  EXPECT_FALSE(is_ready(checks));
}

struct DeviceCase {
  const char* check;
  void (*damage)(DeviceFacts& facts);
  const char* said;
  bool ready;
};

class CheckDeviceSays : public testing::TestWithParam<DeviceCase> {};

TEST_P(CheckDeviceSays, WhatIsMissingAndWhatMendsIt) {
  DeviceFacts facts = ready_device();
  GetParam().damage(facts);
  const auto checks = check_device(facts);
  EXPECT_EQ(said_of(checks, GetParam().check), GetParam().said);
  EXPECT_EQ(is_ready(checks), GetParam().ready);
}

INSTANTIATE_TEST_SUITE_P(
    All, CheckDeviceSays,
    testing::Values(
        DeviceCase{"driver", give_to_host,
                   "no driver: it is bound to nvme, not to vfio-pci > 'passthru bind 0000:00:02.0'",
                   false},
        DeviceCase{"driver",
                   [](DeviceFacts& facts) {
                     give_to_host(facts);
                     facts.function.driver.clear();
                   },
                   "no driver: it is not bound to vfio-pci > 'passthru bind 0000:00:02.0'", false},
        DeviceCase{"in_use", give_to_host, "ok in_use: the host does not use it > ", false},
        DeviceCase{"in_use",
                   [](DeviceFacts& facts) {
                     give_to_host(facts);
                     facts.sees_all_processes = false;
                   },
                   "unknown in_use: no use is visible; root also sees the device nodes that other "
                   "users' processes have open > ",
                   false},
        DeviceCase{"in_use",
                   [](DeviceFacts& facts) {
                     give_to_host(facts);
                     facts.uses = std::vector<DeviceUse>{
                         {"nvme0n1p1 is mounted on /srv", "umount -A /dev/nvme0n1p1"},
                         {"nvme0n1p2 is part of a mounted btrfs", ""},
                         {"nvme0n1p3 is swap", "swapoff /dev/nvme0n1p3"}};
                   },
                   "no in_use: nvme0n1p1 is mounted on /srv; nvme0n1p2 is part of a mounted "
                   "btrfs; nvme0n1p3 is swap > 'umount -A /dev/nvme0n1p1', 'swapoff "
                   "/dev/nvme0n1p3'",
                   false},
        DeviceCase{"in_use", [](DeviceFacts&) {}, "ok in_use: no process has it open > ", true},
        DeviceCase{"in_use", [](DeviceFacts& facts) { facts.sees_all_processes = false; },
                   "unknown in_use: no use is visible; root also sees the device nodes that other "
                   "users' processes have open > ",
                   true},
        DeviceCase{"in_use",
                   [](DeviceFacts& facts) {
                     facts.uses = std::vector<DeviceUse>{
                         {"process 812 (qemu) has /dev/vfio/5 open", "kill 812"}};
                   },
                   "no in_use: process 812 (qemu) has /dev/vfio/5 open > End the guest: 'kill 812'",
                   false},
        DeviceCase{"in_use",
                   [](DeviceFacts& facts) {
                     give_to_host(facts);
                     facts.uses = tl::unexpected(Error{
                         .code = EACCES, .operation = "read mountinfo", .device = "0000:00:02.0"});
                   },
                   "unknown in_use: 0000:00:02.0: cannot read mountinfo: Permission denied > ",
                   false},
        DeviceCase{"in_use",
                   [](DeviceFacts& facts) {
                     give_to_host(facts);
                     facts.function.virtual_functions = {.enabled = 2, .possible = 7};
                   },
                   "no in_use: 2 virtual functions depend on the device and its driver > Remove "
                   "them: 'echo 0 > /sys/bus/pci/devices/0000:00:02.0/sriov_numvfs'",
                   false},
        DeviceCase{"device", give_physical,
                   "ok device: 1b36:0010, a virtual function of "
                   "0000:00:01.0 (nvme) > ",
                   true},
        DeviceCase{"vf_token", give_physical, "not checked", true},
        DeviceCase{"vf_token",
                   [](DeviceFacts& facts) {
                     give_physical(facts);
                     facts.physical->driver = "vfio-pci";
                     facts.physical->on_vfio = true;
                   },
                   "warn vf_token: 0000:00:01.0 is on vfio-pci: to open this function through its "
                   "group, as 'passthru run' does, give the VF token of that device; before Linux "
                   "6.17 its own node may not require it > 'passthru run --vf-token UUID' with the "
                   "UUID that the physical function was opened with",
                   true},
        DeviceCase{
            "group",
            [](DeviceFacts& facts) {
              facts.blocking = {{.name = "0000:00:02.1", .driver = "e1000e"},
                                {.name = "0000:00:02.3", .driver = "xhci_hcd"}};
            },
            "no group: IOMMU group 5 is shared with 0000:00:02.1 (e1000e), 0000:00:02.3 (xhci_hcd) "
            "> Move the device to another slot, or take the group from the host: 'passthru bind "
            "--group 0000:00:02.0'",
            false},
        DeviceCase{"driver",
                   [](DeviceFacts& facts) {
                     give_to_host(facts);
                     facts.blocking = {{.name = "0000:00:02.1", .driver = "e1000e"}};
                   },
                   "no driver: it is bound to nvme, not to vfio-pci > 'passthru bind --group "
                   "0000:00:02.0'",
                   false},
        DeviceCase{"group",
                   [](DeviceFacts& facts) {
                     facts.blocking = {
                         {.name = "0000:00:01.0", .driver = "some_bridge", .bridge = true}};
                   },
                   "no group: IOMMU group 5 is shared with 0000:00:01.0 (some_bridge) > Move the "
                   "device to another slot, or take the group from the host: 'echo 0000:00:01.0 > "
                   "/sys/kernel/iommu_groups/5/devices/0000:00:01.0/driver/unbind'",
                   false},
        DeviceCase{
            "group_node", [](DeviceFacts& facts) { facts.group_errno = EACCES; },
            "no group_node: /dev/vfio/5 cannot be opened: permission denied > Run as root, or "
            "give this user the node: 'chown \"$USER\" /dev/vfio/5'",
            false},
        DeviceCase{
            "group_node", [](DeviceFacts& facts) { facts.group_errno = ENOENT; },
            "no group_node: /dev/vfio/5 does not exist, although the device is on VFIO > Show "
            "the node in this container, or use a kernel that has it",
            false},
        DeviceCase{"group_node",
                   [](DeviceFacts& facts) {
                     give_to_host(facts);
                     facts.group_errno = ENOENT;
                   },
                   "unknown group_node: /dev/vfio/5 appears when the device is bound > ", false},
        DeviceCase{"reset", [](DeviceFacts&) {}, "ok reset: flr, bus > ", true},
        DeviceCase{"reset", [](DeviceFacts& facts) { facts.function.reset_methods.clear(); },
                   "ok reset: available > ", true},
        DeviceCase{"reset", [](DeviceFacts& facts) { facts.resettable = false; },
                   "warn reset: the device has no reset: the next guest finds the state that the "
                   "last guest left > ",
                   true}));

TEST(CheckDevice, EveryUseThatACommandEndsHasItsWholeCommand) {
  DeviceFacts facts = ready_device();
  std::vector<DeviceUse> uses;
  std::vector<std::string> commands;
  for (int pid = 11; pid < 17; ++pid) {
    commands.push_back(fmt::format("kill {}", pid));
    uses.push_back({fmt::format("process {} has the device open", pid), commands.back()});
  }
  facts.uses = uses;
  for (const HostCheck& check : check_device(facts)) {
    if (std::string(check.name) != "in_use") continue;
    EXPECT_EQ(check.commands, commands);
  }
}

TEST(CheckDevice, Case1MemoryThatFirmwareReservesIsNamedBeforeAnyOpen) {
  DeviceFacts facts = ready_device();
  EXPECT_EQ(said_of(check_device(facts), "reserved_memory"), "not checked");
  facts.direct_regions = {{0xdf000000, 0xdf1fffff}, {0xe0000, 0xfffff}};
  const auto checks = check_device(facts);
  EXPECT_FALSE(is_ready(checks));
  EXPECT_THAT(said_of(checks, "reserved_memory"),
              ::testing::HasSubstr(
                  "no reserved_memory: firmware reserves the memory 0xdf000000 to 0xdf1fffff, "
                  "0xe0000 to 0xfffff"));
}

TEST(CheckDevice, Case2ABarThatSomethingElseHasIsAWarning) {
  DeviceFacts facts = ready_device();
  EXPECT_EQ(said_of(check_device(facts), "bar_holders"), "not checked");
  facts.held_bars = {{.bar = 0, .holders = {"BOOTFB"}}};
  EXPECT_TRUE(is_ready(check_device(facts)));
  EXPECT_EQ(
      said_of(check_device(facts), "bar_holders"),
      "warn bar_holders: the host has BAR 0 (BOOTFB): a guest reads all ones there > It is the "
      "host's boot display: boot Linux with initcall_blacklist=sysfb_init (before 5.14: "
      "video=efifb:off)");
  facts.held_bars = {{.bar = 2, .holders = {"ramoops"}}};
  EXPECT_EQ(said_of(check_device(facts), "bar_holders"),
            "warn bar_holders: the host has BAR 2 (ramoops): a guest reads all ones there > Unload "
            "what has it");
}

TEST(CheckDevice, Case12ADeviceThatDoesNotAnswerIsNotReady) {
  DeviceFacts facts = ready_device();
  facts.function.config.assign(256, std::byte{0});
  EXPECT_EQ(said_of(check_device(facts), "answers"), "not checked");
  facts.function.config.assign(256, std::byte{0xff});
  EXPECT_FALSE(is_ready(check_device(facts)));
  EXPECT_EQ(said_of(check_device(facts), "answers"),
            "no answers: it does not answer: its config space reads as all ones > Turn the machine "
            "off and on, or reset the device's slot");
}

}  // namespace
}  // namespace passthru
