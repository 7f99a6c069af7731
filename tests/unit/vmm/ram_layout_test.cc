// SPDX-License-Identifier: MIT
// Tests of guest RAM around ranges that the IOMMU reserves.
#include "vmm/ram_layout.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <cerrno>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "tests/fakes/fake_kernel.h"
#include "tests/fakes/kernel_files.h"
#include "tests/fakes/sysfs_tree.h"
#include "vmm/guest_memory.h"
#include "vmm/kernel_image.h"
#include "vmm/reserved_ranges.h"

namespace passthru {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr uint64_t kTiB = 1024 * kGiB;
constexpr Bdf kReserving{.bus = 3};

std::vector<ReservedRange> of_device(const std::vector<IovaRange>& ranges) {
  std::vector<ReservedRange> reserved;
  for (const IovaRange& range : ranges) reserved.push_back({.range = range, .device = kReserving});
  return reserved;
}

RamLayout layout(uint64_t bytes, const std::vector<IovaRange>& ranges) {
  return RamLayout::around(bytes, of_device(ranges)).value();
}

TEST(RamAroundRanges, LeavesThemOutAndGoesOnBehindThem) {
  using Part = RamLayout::Part;
  const struct {
    const char* what;
    uint64_t bytes;
    std::vector<IovaRange> ranges;
    std::vector<Part> parts;
    std::vector<MemoryRange> reserved;  ///< in the memory map, beside ACPI's tables and ECAM
  } cases[] = {
      {"nothing", 512 * kMiB, {}, {{0, 512 * kMiB}}, {}},
      {"nothing, above 4 GiB too", 5 * kGiB, {}, {{0, 3 * kGiB}, {4 * kGiB, 2 * kGiB}}, {}},
      {"the usual range, in the hole below 4 GiB",
       5 * kGiB,
       {{0xfee00000, 0xfeefffff}},
       {{0, 3 * kGiB}, {4 * kGiB, 2 * kGiB}},
       {}},
      {"a range in low RAM",
       512 * kMiB,
       {{256 * kMiB, 257 * kMiB - 1}},
       {{0, 256 * kMiB}, {258 * kMiB, 256 * kMiB}},
       {{256 * kMiB, 2 * kMiB, MemoryRange::Kind::Reserved}}},
      {"a range of two bytes on both sides of a step",
       512 * kMiB,
       {{256 * kMiB - 1, 256 * kMiB}},
       {{0, 254 * kMiB}, {258 * kMiB, 258 * kMiB}},
       {{254 * kMiB, 4 * kMiB, MemoryRange::Kind::Reserved}}},
      {"a range behind all RAM", 512 * kMiB, {{kGiB, kGiB + 1}}, {{0, 512 * kMiB}}, {}},
      {"a range right behind all RAM",
       512 * kMiB,
       {{512 * kMiB, 513 * kMiB}},
       {{0, 512 * kMiB}},
       {}},
      {"a range into the hole below 4 GiB",
       4 * kGiB,
       {{3 * kGiB - 1, 3 * kGiB + kMiB}},
       {{0, 3 * kGiB - 2 * kMiB}, {4 * kGiB, kGiB + 2 * kMiB}},
       {{3 * kGiB - 2 * kMiB, 2 * kMiB, MemoryRange::Kind::Reserved}}},
      {"a range out of the hole below 4 GiB",
       4 * kGiB,
       {{4 * kGiB - 1, 4 * kGiB}},
       {{0, 3 * kGiB}, {4 * kGiB + 2 * kMiB, kGiB}},
       {{4 * kGiB, 2 * kMiB, MemoryRange::Kind::Reserved}}},
      {"all from 2 GiB to 4 GiB",
       3 * kGiB,
       {{2 * kGiB, 4 * kGiB - 1}},
       {{0, 2 * kGiB}, {4 * kGiB, kGiB}},
       {{2 * kGiB, kGiB, MemoryRange::Kind::Reserved}}},
      {"HyperTransport's range, below 1 TiB",
       1013 * kGiB,
       {{0xfd'0000'0000, 0xff'ffff'ffff}},
       {{0, 3 * kGiB}, {4 * kGiB, 1008 * kGiB}, {kTiB, 2 * kGiB}},
       {{1012 * kGiB, 12 * kGiB, MemoryRange::Kind::Reserved}}},
      {"the same range of two devices, and one that overlaps it",
       512 * kMiB,
       {{258 * kMiB, 259 * kMiB}, {256 * kMiB, 258 * kMiB}, {256 * kMiB, 258 * kMiB}},
       {{0, 256 * kMiB}, {260 * kMiB, 256 * kMiB}},
       {{256 * kMiB, 4 * kMiB, MemoryRange::Kind::Reserved}}},
      {"two ranges side by side, last first",
       512 * kMiB,
       {{258 * kMiB, 260 * kMiB - 1}, {256 * kMiB, 258 * kMiB - 1}},
       {{0, 256 * kMiB}, {260 * kMiB, 256 * kMiB}},
       {{256 * kMiB, 4 * kMiB, MemoryRange::Kind::Reserved}}},
  };
  for (const auto& c : cases) {
    SCOPED_TRACE(c.what);
    const RamLayout ram = layout(c.bytes, c.ranges);
    EXPECT_EQ(ram.parts, c.parts);
    uint64_t usable = 0;
    uint64_t end = 0;
    std::vector<MemoryRange> reserved;
    for (const MemoryRange& range : memory_map(ram)) {
      EXPECT_LE(end, range.address) << "ascending";
      end = range.address + range.size;
      if (range.kind == MemoryRange::Kind::Usable) usable += range.size;
      if (range.kind == MemoryRange::Kind::Usable || range.address == kAcpiTables ||
          range.address == kEcam) {
        continue;
      }
      reserved.push_back(range);
    }
    EXPECT_EQ(reserved, c.reserved);
    EXPECT_EQ(usable, c.bytes - (kKernel - kLowRamUsable)) << "the guest has all of its RAM";
  }
}

TEST(RamAroundRanges, AreRefusedWhereEveryGuestNeedsRam) {
  for (const IovaRange& range : {IovaRange{0, 0}, IovaRange{0xe8000, 0xe8fff},
                                 IovaRange{2 * kMiB - 1, 2 * kMiB}, IovaRange{0, UINT64_MAX}}) {
    const auto refused = RamLayout::around(512 * kMiB, of_device({range}));
    ASSERT_FALSE(refused) << range.first;
    EXPECT_EQ(refused.error().code, EINVAL);
  }
  EXPECT_EQ(RamLayout::around(512 * kMiB, of_device({{0xe8000, 0xe8fff}})).error().message(),
            "cannot place the guest's memory: the IOMMU reserves 0xe8000 to 0xe8fff for "
            "0000:03:00.0, and every guest needs its first 2 MiB. Start the guest without this "
            "device");
}

TEST(RamAroundRanges, HasAsManyPartsAsKvmHasSlotsForIt) {
  std::vector<IovaRange> ranges;
  for (uint64_t part = 1; part < RamLayout::kMaxParts; ++part) {
    ranges.push_back({part * 16 * kMiB, part * 16 * kMiB});
  }
  EXPECT_EQ(layout(512 * kMiB, ranges).parts.size(), RamLayout::kMaxParts);
  ranges.push_back({200 * kMiB, 200 * kMiB});
  const auto refused = RamLayout::around(512 * kMiB, of_device(ranges));
  ASSERT_FALSE(refused);
  EXPECT_THAT(refused.error().message(), HasSubstr("cut it into 9 parts, and it can have 8"));
  EXPECT_TRUE(RamLayout::around(64 * kMiB, of_device(ranges))) << "less memory meets fewer ranges";
}

TEST(RamAroundRanges, BehindAllAddressesOfTheCpusIsRefused) {
  const RamLayout ram = layout(512 * kMiB, {{256 * kMiB, UINT64_MAX}});
  const auto refused = check_reach(ram, 52);
  ASSERT_FALSE(refused);
  EXPECT_THAT(refused.error().message(), HasSubstr("--memory 256M"));
}

TEST(RamAroundRanges, IsMappedWithoutTheHoles) {
  const auto memory = GuestMemory::create(layout(64 * kMiB, {{32 * kMiB, 33 * kMiB}}), {}).value();
  ASSERT_EQ(memory->ranges().size(), 2U);
  EXPECT_EQ(memory->ranges()[1].address, 34 * kMiB);
  EXPECT_EQ(memory->ranges()[1].bytes.size(), 32 * kMiB);
  EXPECT_FALSE(memory->at(32 * kMiB, 1));
  EXPECT_FALSE(memory->at(34 * kMiB - 1, 2));
  EXPECT_FALSE(memory->at(31 * kMiB, 4 * kMiB)) << "not through the hole";
  const std::array below{std::byte{0x11}};
  const std::array above{std::byte{0x22}};
  ASSERT_TRUE(memory->write(32 * kMiB - 1, below));
  ASSERT_TRUE(memory->write(34 * kMiB, above));
  EXPECT_EQ(memory->at(32 * kMiB - 1, 1)->front(), std::byte{0x11});
  for (const GuestMemory::Range& range : memory->ranges()) {
    const auto here = reinterpret_cast<uintptr_t>(range.bytes.data());
    EXPECT_EQ(here % (2 * kMiB), range.address % (2 * kMiB)) << "for large pages";
  }
}

class BootAroundRanges : public ::testing::Test {
 protected:
  /// Plans the boot of a kernel that needs the RAM from 1 MiB to 20 MiB.
  [[nodiscard]] Result<BootPlan> plan(const RamLayout& ram, size_t initrd_size = 0) {
    initrd_.resize(initrd_size);
    return plan_boot(ram, BzImage::parse(file_.bytes(), "k").value(), initrd_, "");
  }
  [[nodiscard]] uint64_t initrd_address(const RamLayout& ram, size_t size) {
    const auto planned = plan(ram, size);
    EXPECT_TRUE(planned) << planned.error().message();
    if (!planned) return 0;
    for (const auto& piece : planned->pieces) {
      if (piece.of_file.data() == initrd_.data()) return piece.address;
    }
    return 0;
  }

 private:
  const BzImageFile file_;
  std::vector<std::byte> initrd_;
};

TEST_F(BootAroundRanges, TheInitrdIsWhereThereIsRoom) {
  const RamLayout ram = layout(128 * kMiB, {{126 * kMiB, 127 * kMiB}});
  EXPECT_EQ(initrd_address(ram, 4096), 130 * kMiB - 4096);
  EXPECT_EQ(initrd_address(ram, 2 * kMiB), 128 * kMiB) << "all of the last part";
  EXPECT_EQ(initrd_address(ram, 10 * kMiB), 116 * kMiB) << "below the hole";
}

TEST_F(BootAroundRanges, ARangeInTheKernelIsRefusedAndNamed) {
  const auto refused = plan(layout(128 * kMiB, {{19 * kMiB, 19 * kMiB + 0xfff}}));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, EINVAL);
  EXPECT_EQ(refused.error().message(),
            "cannot load the kernel: the IOMMU reserves 0x1300000 to 0x1300fff for 0000:03:00.0, "
            "and the kernel needs RAM from 0x100000 to 0x13fffff. Give the guest another kernel, "
            "or start it without this device");
  EXPECT_TRUE(plan(layout(128 * kMiB, {{20 * kMiB, 21 * kMiB}}))) << "right behind the kernel";
}

TEST_F(BootAroundRanges, AnInitrdWithoutRoomIsRefusedWithTheMemoryThatItNeeds) {
  const std::vector<IovaRange> ranges = {{32 * kMiB, 33 * kMiB}};
  const auto refused = plan(layout(64 * kMiB, ranges), 40 * kMiB);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ENOMEM);
  EXPECT_THAT(refused.error().message(),
              HasSubstr("do not fit into 64 MiB of memory below 0x4200000. They need 72 MiB"));
  EXPECT_FALSE(plan(layout(70 * kMiB, ranges), 40 * kMiB));
  EXPECT_TRUE(plan(layout(72 * kMiB, ranges), 40 * kMiB));
}

TEST(ReservedRanges, AreThoseOfTheDevicesGroups) {
  FakeKernel kernel;
  const FakeSpec spec = FakeSpec::nvme();
  kernel.add(spec);
  SysfsTree tree;
  tree.add({.bdf = "0000:00:02.0", .group = 2, .cdev = spec.cdev()});
  tree.add({.bdf = "0000:03:00.0", .group = 7});
  tree.add({.bdf = "0000:04:00.0", .group = std::nullopt});
  tree.put("kernel/iommu_groups/2/reserved_regions", "0x00000000fee00000 0x00000000feefffff msi\n");
  tree.put("kernel/iommu_groups/7/reserved_regions",
           "0x0000000000000000 0x0000000000ffffff direct-relaxable\n"
           "0x00000000000e8000 0x00000000000e8fff direct\n"
           "0x000000fd00000000 0x000000ffffffffff reserved\n");
  const auto of = [&](const DeviceArgument& device) {
    return reserved_ranges(kernel, tree.sysfs(), {device});
  };
  const ReservedRange messages{.range = {0xfee00000, 0xfeefffff}, .device = spec.bdf};
  const ReservedRange high{.range = {0xfd'0000'0000, 0xff'ffff'ffff}, .device = kReserving};

  const auto node = kernel.open_cdev(spec.cdev());
  ASSERT_TRUE(node);
  EXPECT_THAT(of({.options = {.device = spec.bdf}}), ElementsAre(messages));
  EXPECT_THAT(of({.options = {}, .source = {.cdev_fd = node->get()}}), ElementsAre(messages))
      << "the descriptor determines the device";
  EXPECT_THAT(of({.options = {.device = kReserving}}), ElementsAre(high));
  EXPECT_THAT(of({.options = {.device = {.bus = 4}}}), IsEmpty()) << "without a group";
  EXPECT_THAT(of({.options = {.device = {.bus = 9}}}), IsEmpty()) << "no such device";
  EXPECT_THAT(
      reserved_ranges(kernel, tree.sysfs(),
                      {{.options = {.device = kReserving}}, {.options = {.device = spec.bdf}}}),
      ElementsAre(high, messages));
}

}  // namespace
}  // namespace passthru
