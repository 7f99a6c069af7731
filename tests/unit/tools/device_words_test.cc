// SPDX-License-Identifier: MIT
// Tests of the words that name a device, and of those that name none or several.
#include "tools/devices/device_words.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/fakes/sysfs_tree.h"

namespace passthru::tools {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;
using Kind = KernelName::Kind;

constexpr Bdf kNic{.bus = 2};
constexpr Bdf kDrive{.bus = 3};
constexpr Bdf kOtherDrive{.bus = 4};
constexpr Bdf kUsb{.device = 0x14};

KnownDevices machine() {
  return {.functions =
              {{.bdf = kUsb, .vendor = 0x8086, .device = 0xa36d, .name = "Intel xHCI Host"},
               {.bdf = kNic, .vendor = 0x8086, .device = 0x10d3, .name = "Intel 82574L NIC"},
               {.bdf = kDrive, .vendor = 0x144d, .device = 0xa808, .name = "Samsung SM981"},
               {.bdf = kOtherDrive, .vendor = 0x144d, .device = 0xa808, .name = "Samsung SM981"}},
          .kernel_names = {{.name = "eth0", .kind = Kind::Interface, .bdf = kNic},
                           {.name = "lo", .kind = Kind::Interface},
                           {.name = "nvme0", .kind = Kind::Controller, .bdf = kDrive},
                           {.name = "nvme0n1", .kind = Kind::Disk, .bdf = kDrive},
                           {.name = "nvme0n1p2", .kind = Kind::Partition, .bdf = kDrive},
                           {.name = "nvme9n1", .kind = Kind::Disk, .bdf = kDrive},
                           {.name = "nvme9n1", .kind = Kind::Disk, .bdf = kOtherDrive},
                           {.name = "dm-0", .kind = Kind::Disk},
                           {.name = "sda", .kind = Kind::Disk, .bdf = kUsb, .usb = true}}};
}

std::string refusal_of(std::string_view word) {
  const auto found = find_device(machine(), word);
  if (found) return "found " + found->str();
  EXPECT_EQ(found.error().code, EINVAL) << word;
  return found.error().message();
}

TEST(DeviceWords, NameADeviceByWhatPeopleKnow) {
  const struct {
    const char* word;
    Bdf wanted;
  } words[] = {
      {"0000:02:00.0", kNic}, {"02:00.0", kNic},        {"8086:10d3", kNic},
      {"8086:10D3", kNic},    {"eth0", kNic},           {"82574", kNic},
      {"intel 82574l", kNic}, {"nvme0", kDrive},        {"/dev/nvme0", kDrive},
      {"nvme0n1", kDrive},    {"/dev/nvme0n1", kDrive}, {"/dev/nvme0n1p2", kDrive},
      {"nvme0n1p2", kDrive},  {"XHCI", kUsb},
  };
  for (const auto& each : words) {
    const auto found = find_device(machine(), each.word);
    ASSERT_TRUE(found) << each.word << ": " << found.error().message();
    EXPECT_EQ(*found, each.wanted) << each.word;
  }
}

TEST(DeviceWords, AnAddressNeedsNoDevice) {
  EXPECT_EQ(*find_device({}, "ff:1f.7"), (Bdf{.bus = 0xff, .device = 0x1f, .function = 7}));
}

TEST(DeviceWords, AWordForSeveralDevicesIsRefusedWithThem) {
  for (const char* word : {"144d:a808", "samsung", "nvme9n1", "/dev/nvme9n1"}) {
    const std::string text = refusal_of(word);
    EXPECT_THAT(text, HasSubstr(std::string("cannot find the device '") + word + "'"));
    EXPECT_THAT(text, HasSubstr("2 devices match: 0000:03:00.0 (Samsung SM981), 0000:04:00.0 "
                                "(Samsung SM981)"));
    EXPECT_THAT(text, HasSubstr("by its address, like 0000:03:00.0"));
  }
}

TEST(DeviceWords, AWordForNoDeviceIsRefusedWithTheCauseAndAHint) {
  const struct {
    const char* word;
    const char* cause;
    const char* hint;
  } words[] = {
      {"", "expected SSSS:BB:DD.F or BB:DD.F", "'passthru list'"},
      {"0000:00:2.0", "expected SSSS:BB:DD.F or BB:DD.F", "'passthru list'"},
      {"00:02", "expected SSSS:BB:DD.F or BB:DD.F", "'passthru list'"},
      {"0000:02:00", "it lacks the function", "mean '0000:02:00.0'?"},
      {"02:00", "it lacks the function", "mean '0000:02:00.0'?"},
      {"8086:ffff", "no device has these vendor and device ids", "'passthru list'"},
      {"eht0", "it is not an address like 0000:00:02.0, and no device has it", "mean 'eth0'?"},
      {"ni", "it is not an address", "'passthru list'"},
      {"nosuch", "a part of the name", "'passthru list'"},
      {"/dev/nvme0n2", "no PCI device has a disk of this name", "mean 'nvme0n1'?"},
      {"/dev/eth0", "no PCI device has a disk of this name", "'passthru list'"},
      {"lo", "it is not on the PCI bus", "'passthru list'"},
      {"/dev/dm-0", "it is not on the PCI bus", "'passthru list'"},
      {"sda", "it is on USB, behind the controller 0000:00:14.0 (Intel xHCI Host)",
       "name 0000:00:14.0"},
  };
  for (const auto& each : words) {
    EXPECT_THAT(refusal_of(each.word), HasSubstr(each.cause)) << each.word;
    EXPECT_THAT(refusal_of(each.word), HasSubstr(each.hint)) << each.word;
  }
}

TEST(DeviceWords, ADeviceOnVfioHasLostItsNamesWhichTheHintSays) {
  KnownDevices known = machine();
  const auto without = find_device(known, "nosuch");
  EXPECT_THAT(without.error().message(), Not(HasSubstr("vfio-pci")));
  known.functions[0].on_vfio = true;
  const auto with = find_device(known, "nosuch");
  EXPECT_THAT(with.error().message(), HasSubstr("Devices on vfio-pci have no interfaces"));
}

TEST(DeviceWords, ControlCharactersOfAWordDoNotReachTheTerminal) {
  EXPECT_THAT(refusal_of("\x1b]0;x"), HasSubstr("'?]0;x'"));
}

TEST(DeviceWords, AreFoundInSysfsAndListedOnce) {
  SysfsTree tree;
  tree.add({.bdf = "0000:00:02.0"}).add_child("0000:00:02.0", "net/eth0", "net");
  EXPECT_THAT(*devices_of(tree.sysfs(), {"eth0", "00:02.0", "ff:00.0"}),
              ElementsAre(Bdf{.device = 2}, Bdf{.bus = 0xff}));
  EXPECT_FALSE(devices_of(tree.sysfs(), {"eth0", "eth1"}));
}

TEST(DeviceWords, AnArgumentWithOptionsGetsTheAddress) {
  SysfsTree tree;
  tree.add({.bdf = "0000:00:02.0"}).add_child("0000:00:02.0", "nvme/nvme0", "nvme");
  const struct {
    const char* argument;
    const char* wanted;
  } arguments[] = {
      {"nvme0", "0000:00:02.0"},
      {"nvme0,nomap=2,rom=off", "0000:00:02.0,nomap=2,rom=off"},
      {"fd=3,iommufd=4", "fd=3,iommufd=4"},
  };
  for (const auto& each : arguments)
    EXPECT_EQ(*with_address(tree.sysfs(), each.argument), each.wanted);
  EXPECT_FALSE(with_address(tree.sysfs(), "nosuch,rom=off"));
}

}  // namespace
}  // namespace passthru::tools
