// SPDX-License-Identifier: MIT
// Tests of the filters, the order and the table of `passthru list`.
#include "tools/list/listed_devices.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sstream>

namespace passthru::tools {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

ListedDevice listed_nic() {
  return {.function = {.bdf = {.bus = 2},
                       .vendor = 0x8086,
                       .device = 0x10d3,
                       .class_code = 0x020000,
                       .driver = "e1000e",
                       .iommu_group = 12,
                       .numa_node = 1},
          .name = "Intel Corporation 82574L Gigabit Network Connection",
          .class_name = "Ethernet controller",
          .obstacle = Error{.code = EBUSY, .cause = "the host's driver e1000e has it"},
          .interfaces = {"eth0"}};
}

ListedDevice listed_drive() {
  return {.function = {.bdf = {.bus = 1},
                       .vendor = 0x144d,
                       .device = 0xa808,
                       .class_code = 0x010802,
                       .on_vfio = true,
                       .iommu_group = 20},
          .name = "Samsung Electronics Co Ltd NVMe SSD Controller SM981",
          .class_name = "Non-Volatile memory controller",
          .controllers = {"nvme0"},
          .disks = {"nvme0n1"}};
}

TEST(ListedDevices, AFilterLetsMatchingDevicesPass) {
  const struct {
    const char* what;
    ListFilter filter;
    bool nic;
    bool drive;
  } filters[] = {
      {"no filter", {}, true, true},
      {"a part of the name", {.words = {"samsung"}}, false, true},
      {"a part of the class", {.words = {"ethernet"}}, true, false},
      {"an interface", {.words = {"eth0"}}, true, false},
      {"a disk", {.words = {"/dev/nvme0n1"}}, false, true},
      {"a controller", {.words = {"nvme0"}}, false, true},
      {"ids", {.words = {"8086:10D3"}}, true, false},
      {"a short address", {.words = {"01:00.0"}}, false, true},
      {"a driver as a word", {.words = {"e1000"}}, true, false},
      {"two words", {.words = {"intel", "eth0"}}, true, false},
      {"two words of two devices", {.words = {"intel", "nvme0"}}, false, false},
      {"a class by name", {.of_class = "ETHERNET"}, true, false},
      {"a class by number", {.of_class = "0108"}, false, true},
      {"a base class by number", {.of_class = "02"}, true, false},
      {"an unknown class", {.of_class = "0300"}, false, false},
      {"a driver", {.driver = "e1000e"}, true, false},
      {"a part of a driver", {.driver = "e1000"}, false, false},
      {"no driver", {.driver = "none"}, false, true},
      {"assignable", {.assignable = true}, false, true},
  };
  for (const auto& each : filters) {
    EXPECT_EQ(passes(listed_nic(), each.filter), each.nic) << each.what;
    EXPECT_EQ(passes(listed_drive(), each.filter), each.drive) << each.what;
  }
}

TEST(ListedDevices, AreSortedByAKeyAndThenByAddress) {
  const auto buses = [](const char* order) {
    std::vector<ListedDevice> devices = {listed_nic(), listed_drive()};
    devices.push_back({.function = {.bdf = {.bus = 3}}, .name = "Zeta"});
    sort_devices(devices, list_order(order));
    std::vector<int> numbers;
    for (const ListedDevice& device : devices) numbers.push_back(device.function.bdf.bus);
    return numbers;
  };
  EXPECT_THAT(buses("address"), ElementsAre(1, 2, 3));
  EXPECT_THAT(buses("name"), ElementsAre(2, 1, 3)) << "Intel, Samsung, Zeta";
  EXPECT_THAT(buses("class"), ElementsAre(3, 2, 1)) << "no class, Ethernet, Non-Volatile";
  EXPECT_THAT(buses("driver"), ElementsAre(1, 3, 2)) << "none, none, e1000e";
  EXPECT_THAT(buses("group"), ElementsAre(2, 1, 3)) << "12, 20, no group";
  EXPECT_THAT(buses("numa"), ElementsAre(2, 1, 3)) << "node 1, no node, no node";
}

TEST(ListedDevices, NoLineIsWiderThanTheTerminal) {
  for (const size_t width : {80U, 100U, 132U}) {
    std::istringstream lines(list_text({listed_nic(), listed_drive()}, width));
    for (std::string line; std::getline(lines, line);) EXPECT_LE(line.size(), width) << line;
  }
}

TEST(ListedDevices, ANarrowTerminalKeepsTheNamesAndTheAnswer) {
  const std::string text = list_text({listed_nic(), listed_drive()}, 80);
  for (const char* kept : {"DEVICE", "NAME", "DRIVER", "USED AS", "GROUP", "ASSIGNABLE",
                           "0000:02:00.0", "eth0", "nvme0n1"}) {
    EXPECT_THAT(text, HasSubstr(kept));
  }
  for (const char* lost : {"NUMA", "MSI-X", "CLASS", "8086:10d3"})
    EXPECT_THAT(text, Not(HasSubstr(lost)));
}

TEST(ListedDevices, APipeGetsEverything) {
  const std::string text = list_text({listed_nic(), listed_drive()}, std::nullopt);
  for (const char* word : {"NUMA", "MSI-X", "Non-Volatile memory controller", "8086:10d3",
                           "Intel Corporation 82574L Gigabit Network Connection",
                           "no: the host's driver e1000e has it"}) {
    EXPECT_THAT(text, HasSubstr(word));
  }
}

TEST(ListedDevices, HaveTheNamesOfTheKernelThatAreTheirs) {
  using Named = KernelName::Kind;
  ListedDevice device{.function = {.bdf = {.bus = 1}}};
  add_kernel_names(device,
                   {{.name = "eth0", .kind = Named::Interface, .bdf = Bdf{.bus = 1}},
                    {.name = "eth1", .kind = Named::Interface, .bdf = Bdf{.bus = 2}},
                    {.name = "lo", .kind = Named::Interface},
                    {.name = "nvme0", .kind = Named::Controller, .bdf = Bdf{.bus = 1}},
                    {.name = "sda", .kind = Named::Disk, .bdf = Bdf{.bus = 1}},
                    {.name = "sda1", .kind = Named::Partition, .bdf = Bdf{.bus = 1}},
                    {.name = "sdb", .kind = Named::Disk, .bdf = Bdf{.bus = 1}, .usb = true}});
  EXPECT_THAT(device.interfaces, ElementsAre("eth0"));
  EXPECT_THAT(device.controllers, ElementsAre("nvme0"));
  EXPECT_THAT(device.disks, ElementsAre("sda"));
}

}  // namespace
}  // namespace passthru::tools
