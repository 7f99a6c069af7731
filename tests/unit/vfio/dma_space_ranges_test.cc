// SPDX-License-Identifier: MIT
// The addresses at which memory can be added, for the devices that are attached.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <utility>
#include <vector>

#include "tests/unit/vfio/dma_space_fixture.h"

namespace passthru {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr IovaRange kLow{0, 0xfedf'ffff};
constexpr IovaRange kHigh{0xfef0'0000, UINT64_MAX};

class DmaSpaceRanges : public DmaSpaceTest {
 protected:
  Result<Fd> attach() {
    Fd node = PASSTHRU_TRY(kernel_.open_cdev(FakeSpec::nvme().cdev()));
    return dma_.attach_cdev(std::move(node));
  }
  std::vector<IovaRange> usable() {
    auto ranges = dma_.usable_iova_ranges();
    EXPECT_TRUE(ranges) << ranges.error().message();
    return ranges ? *ranges : std::vector<IovaRange>{};
  }
};

TEST_F(DmaSpaceRanges, WithoutADeviceTheListIsEmpty) {
  EXPECT_THAT(usable(), IsEmpty());
  ASSERT_TRUE(dma_.attach_group(3));
  EXPECT_THAT(usable(), ElementsAre(kLow, kHigh));
  dma_.detach_group(3);
  EXPECT_THAT(usable(), IsEmpty());
}

TEST_F(DmaSpaceRanges, AnIommufdHasThemToo) {
  auto drive = attach();
  ASSERT_TRUE(drive) << drive.error().message();
  EXPECT_THAT(usable(), ElementsAre(kLow, kHigh));
  dma_.detach_cdev(std::move(*drive));
}

TEST_F(DmaSpaceRanges, TwoAddressSpacesHaveTheRangesThatTheyShare) {
  auto drive = attach();
  ASSERT_TRUE(drive);
  ASSERT_TRUE(dma_.attach_group(3));
  EXPECT_EQ(kernel_.calls("VFIO_IOMMU_GET_INFO").size(), 0U);
  EXPECT_THAT(usable(), ElementsAre(kLow, kHigh));
  EXPECT_EQ(kernel_.calls("VFIO_IOMMU_GET_INFO").size(), 1U);
  EXPECT_EQ(kernel_.calls("IOMMU_IOAS_IOVA_RANGES").size(), 1U);
  dma_.detach_group(3);
  dma_.detach_cdev(std::move(*drive));
}

TEST_F(DmaSpaceRanges, MemoryOutsideOfThemIsRefused) {
  kernel_.set_iova_ranges({{0, 0xffff}, {0x2'0000, 0x3'ffff}});
  ASSERT_TRUE(dma_.attach_group(3));
  EXPECT_TRUE(dma_.add(0, pages(16), true));
  EXPECT_EQ(dma_.add(0x1'0000, pages(1), true).error().code, EINVAL);
  EXPECT_EQ(dma_.add(0x3'f000, pages(2), true).error().code, EINVAL);
  EXPECT_TRUE(dma_.add(0x3'f000, pages(1), true));
  dma_.detach_group(3);
}

TEST_F(DmaSpaceRanges, AddressesThatMemoryMustNotHaveAreNamed) {
  kernel_.set_iova_ranges({{0, 0xffff}, {0x2'0000, 0x3'ffff}});
  auto drive = attach();
  ASSERT_TRUE(drive);
  for (const bool by_group : {false, true}) {
    if (by_group) {
      dma_.detach_cdev(std::move(*drive));
      ASSERT_TRUE(dma_.attach_group(3));
    }
    EXPECT_THAT(
        dma_.add(0xf000, pages(2), true).error().message(),
        HasSubstr("memory from 0xf000 to 0x10fff includes addresses that the IOMMU reserves: "
                  "0x10000 to 0x1ffff"));
    EXPECT_THAT(dma_.add(0x3'f000, pages(2), true).error().message(),
                HasSubstr("0x40000 is the first that the IOMMU cannot translate"));
  }
  dma_.detach_group(3);
}

TEST_F(DmaSpaceRanges, MemoryThatIsAddedBeforeTheDeviceIsNamedAtTheAttach) {
  kernel_.set_iova_ranges({{0, 0xffff}});
  ASSERT_TRUE(dma_.add(0x1'0000, pages(1), true));
  const auto attached = dma_.attach_group(3);
  ASSERT_FALSE(attached);
  EXPECT_EQ(attached.error().code, EINVAL);
  EXPECT_THAT(attached.error().message(), HasSubstr("memory from 0x10000 to 0x10fff"));
}

TEST_F(DmaSpaceRanges, AFullContainerIsNamedWithItsLimit) {
  ASSERT_TRUE(dma_.attach_group(3));
  kernel_.fail("VFIO_IOMMU_MAP_DMA", ENOSPC);
  EXPECT_THAT(dma_.add(0, pages(1), true).error().message(), HasSubstr("dma_entry_limit"));
  dma_.detach_group(3);
}

TEST_F(DmaSpaceRanges, AnErrorOfTheKernelIsReported) {
  ASSERT_TRUE(dma_.attach_group(3));
  kernel_.fail("VFIO_IOMMU_GET_INFO", EIO);
  EXPECT_EQ(dma_.usable_iova_ranges().error().code, EIO);
  dma_.detach_group(3);
}

}  // namespace
}  // namespace passthru
