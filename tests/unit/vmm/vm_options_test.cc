// SPDX-License-Identifier: MIT
// Tests of the VMM's errors for invalid options; they need no KVM.
#include "vmm/vm_options.h"

#include <gtest/gtest.h>

#include <cerrno>
#include <string>

namespace passthru {
namespace {

constexpr uint64_t kMega = uint64_t{1} << 20;

std::string message_of(const Result<void>& result) {
  return result ? "accepted" : result.error().message();
}

TEST(VmOptions, NumbersOutOfRangeAreRefusedWithTheRange) {
  struct Case {
    uint64_t memory;
    unsigned cpus;
    const char* says;  // null: accepted
  };
  const Case cases[] = {
      {512 * kMega, 2, nullptr},
      {VmOptions::kMinMemory, 1, nullptr},
      {VmOptions::kMaxMemory, 254, nullptr},
      {VmOptions::kMinMemory - 1, 1, "64 MiB"},
      {0, 1, "64 MiB"},
      {VmOptions::kMaxMemory + 1, 1, "4194304 MiB"},
      {~uint64_t{0}, 1, "4194304 MiB"},
      {512 * kMega + 4096, 1, "multiple of 2 MiB"},
      {512 * kMega, 0, "1 to 254"},
      {512 * kMega, 255, "1 to 254"},
  };
  for (const Case& c : cases) {
    VmOptions options;
    options.memory = c.memory;
    options.cpus = c.cpus;
    const std::string message = message_of(options.check());
    EXPECT_NE(message.find(c.says ? c.says : "accepted"), std::string::npos)
        << c.memory << ' ' << c.cpus << ": " << message;
  }
}

TEST(VmOptions, MemoryOfHugePagesIsAWholeNumberOfThem) {
  using Kind = MemoryBacking::Kind;
  struct Case {
    MemoryBacking from;
    uint64_t memory;
    const char* says;
  };
  const Case cases[] = {
      {{}, 512 * kMega, "accepted"},
      {{.kind = Kind::Memfd}, 512 * kMega, "accepted"},
      {{.kind = Kind::Hugetlbfs}, 514 * kMega, "accepted"},
      {{Kind::Hugetlbfs, 2 * kMega}, 514 * kMega, "accepted"},
      {{Kind::Hugetlbfs, 1024 * kMega}, 3072 * kMega, "accepted"},
      {{Kind::Hugetlbfs, 1024 * kMega}, 1536 * kMega, "1536 MiB are not a multiple"},
      {{Kind::Hugetlbfs, 1024 * kMega}, 1536 * kMega, "Use --memory 2048M"},
      {{Kind::Hugetlbfs, 1024 * kMega}, 512 * kMega, "Use --memory 1024M"},
      {{Kind::Hugetlbfs, 4096}, 512 * kMega, "2M or 1G"},
      {{Kind::Hugetlbfs, 3 * kMega}, 513 * kMega, "multiple of 2 MiB"},
      {{Kind::Hugetlbfs, 3 * kMega}, 516 * kMega, "2M or 1G"},
      {{Kind::Anonymous, 2 * kMega}, 512 * kMega, "--memory-from hugetlbfs"},
      {{Kind::Memfd, 1024 * kMega}, 1024 * kMega, "--memory-from hugetlbfs"},
  };
  for (const Case& c : cases) {
    VmOptions options;
    options.memory = c.memory;
    options.memory_from = c.from;
    const std::string message = message_of(options.check());
    EXPECT_NE(message.find(c.says), std::string::npos)
        << c.memory << ' ' << c.from.huge_page_size << ": " << message;
  }
}

TEST(VmOptions, ADeviceNamedTwiceIsRefusedByName) {
  VmOptions options;
  for (const char* bdf : {"0000:00:02.0", "0000:00:03.0", "00:02.0"}) {
    options.devices.push_back({.options = {.device = Bdf::parse(bdf).value()}});
  }
  const std::string message = message_of(options.check());
  EXPECT_NE(message.find("0000:00:02.0"), std::string::npos) << message;
  EXPECT_NE(message.find("named twice"), std::string::npos) << message;
}

TEST(VmOptions, ADescriptorGivenTwiceIsRefusedByNumber) {
  for (const auto member : {&SourceArgument::cdev_fd, &SourceArgument::group_fd}) {
    VmOptions options;
    for (const uint8_t device : {uint8_t{2}, uint8_t{3}}) {
      DeviceArgument each{.options = {.device = {.device = device}}};
      each.source.*member = 7;
      options.devices.push_back(each);
    }
    const std::string message = message_of(options.check());
    EXPECT_NE(message.find("descriptor 7: the descriptor is given twice. Give it once"),
              std::string::npos)
        << message;
  }
}

TEST(VmOptions, ADescriptorInTwoRolesIsRefusedWithBoth) {
  const struct {
    SourceArgument first;
    SourceArgument second;
    int kvm;
    const char* says;
  } cases[] = {
      {{.cdev_fd = 3, .iommufd = 3}, {}, -1, "3: it is given as a device and as the iommufd"},
      {{.group_fd = 3, .container_fd = 3}, {}, -1, "as a group and as the container"},
      {{.cdev_fd = 3, .iommufd = 4}, {.cdev_fd = 4}, -1, "as the iommufd and as a device"},
      {{.iommufd = 4}, {.container_fd = 4}, -1, "as the iommufd and as the container"},
      {{.cdev_fd = 3}, {.group_fd = 3}, -1, "the descriptor is given twice"},
      {{.cdev_fd = 3}, {}, 3, "as /dev/kvm and as a device"},
      {{.cdev_fd = 3, .iommufd = 4}, {.cdev_fd = 5, .iommufd = 4}, 6, "accepted"},
      {{.group_fd = 3, .container_fd = 4}, {.group_fd = 5, .container_fd = 4}, 6, "accepted"},
  };
  for (const auto& each : cases) {
    VmOptions options;
    options.devices.push_back({.options = {.device = {.device = 2}}, .source = each.first});
    options.devices.push_back({.options = {.device = {.device = 3}}, .source = each.second});
    options.kvm_fd = each.kvm;
    const std::string message = message_of(options.check());
    EXPECT_NE(message.find(each.says), std::string::npos) << message;
  }
}

TEST(VmOptions, TheBusHasThirtyOneSlotsForDevices) {
  VmOptions options;
  for (uint8_t bus = 0; bus < 31; ++bus)
    options.devices.push_back({.options = {.device = {.bus = bus}}});
  EXPECT_TRUE(options.check());
  options.devices.push_back({.options = {.device = {.bus = 31}}});
  const auto refused = options.check();
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ENOSPC);
  EXPECT_NE(refused.error().message().find("32 slots"), std::string::npos);
}

TEST(VmOptions, Case10APlaceThatCannotBeIsWrongUsage) {
  VmOptions options;
  options.devices.push_back({.options = {.device = {.device = 2}}, .address = Bdf{.device = 7}});
  options.devices.push_back({.options = {.device = {.device = 3}}, .address = Bdf{.device = 7}});
  EXPECT_NE(message_of(options.check()).find("0000:00:02.0 has this address too"),
            std::string::npos)
      << message_of(options.check());
  options.devices.back().address->function = 1;
  EXPECT_TRUE(options.check());
}

}  // namespace
}  // namespace passthru
