// SPDX-License-Identifier: MIT
// Tests of mapping guest memory into the IOMMU: the order of a container's set-up, and failures
// that leave nothing behind.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/vfio/dma_space_fixture.h"

namespace passthru {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

TEST_F(DmaSpaceTest, AttachingTheFirstGroupSetsUpTheContainerInOrder) {
  ASSERT_TRUE(dma_.add(0, pages(2), true));
  ASSERT_TRUE(dma_.add(0x100000, pages(1), false));
  ASSERT_TRUE(dma_.attach_group(2));
  EXPECT_THAT(names(), ElementsAre("allow_unsafe_interrupts", "open_container",
                                   "VFIO_GET_API_VERSION", "VFIO_CHECK_EXTENSION", "open_group",
                                   "VFIO_GROUP_GET_STATUS", "VFIO_GROUP_SET_CONTAINER",
                                   "VFIO_SET_IOMMU", "VFIO_IOMMU_MAP_DMA", "VFIO_IOMMU_MAP_DMA"));
  const auto maps = kernel_.calls("VFIO_IOMMU_MAP_DMA");
  EXPECT_EQ(maps[0].size, 2 * kPage);
  EXPECT_EQ(maps[1].offset, 0x100000U);
}

TEST_F(DmaSpaceTest, ASecondGroupJoinsTheContainerThatIsThere) {
  ASSERT_TRUE(dma_.add(0, pages(2), true));
  ASSERT_TRUE(dma_.attach_group(2));
  kernel_.forget_calls();
  ASSERT_TRUE(dma_.attach_group(3));
  EXPECT_THAT(names(), ElementsAre("allow_unsafe_interrupts", "open_group", "VFIO_GROUP_GET_STATUS",
                                   "VFIO_GROUP_SET_CONTAINER"));
}

TEST_F(DmaSpaceTest, AGroupIsTakenOutOfItsContainerThoughSomebodyElseMayHaveItOpen) {
  Fd given = std::move(*kernel_.open_group(2));
  ASSERT_TRUE(dma_.attach_group(2, false, std::move(given)));
  dma_.detach_group(2);
  EXPECT_EQ(kernel_.calls("VFIO_GROUP_UNSET_CONTAINER").size(), 1U);
  kernel_.fail("VFIO_SET_IOMMU", EIO);
  EXPECT_FALSE(dma_.attach_group(2));
  EXPECT_EQ(kernel_.calls("VFIO_GROUP_UNSET_CONTAINER").size(), 2U);
  EXPECT_TRUE(kernel_.nothing_leaked());
}

TEST_F(DmaSpaceTest, AGroupAttachedTwiceIsClosedByTheLastDetach) {
  const auto first = dma_.attach_group(2);
  const auto second = dma_.attach_group(2);
  EXPECT_EQ(*first, *second);
  dma_.detach_group(2);
  EXPECT_EQ(kernel_.open_fds(), 2U);
  dma_.detach_group(2);
  EXPECT_TRUE(kernel_.nothing_leaked());
  dma_.detach_group(2);
}

TEST_F(DmaSpaceTest, MemoryFollowsTheGroupsThatComeAndGo) {
  ASSERT_TRUE(dma_.add(0, pages(1), true));
  EXPECT_EQ(kernel_.dma_mappings(), 0U);
  ASSERT_TRUE(dma_.attach_group(2));
  EXPECT_EQ(kernel_.dma_mappings(), 1U);
  ASSERT_TRUE(dma_.add(0x10000, pages(1), true)) << "hot-added";
  EXPECT_EQ(kernel_.dma_mappings(), 2U);
  dma_.detach_group(2);
  EXPECT_EQ(kernel_.dma_mappings(), 0U);
  ASSERT_TRUE(dma_.attach_group(3));
  EXPECT_EQ(kernel_.dma_mappings(), 2U);
  ASSERT_TRUE(dma_.remove(0));
  EXPECT_EQ(kernel_.dma_mappings(), 1U);
}

TEST_F(DmaSpaceTest, MemoryIsWholePagesThatNeitherWrapNorOverlap) {
  ASSERT_TRUE(dma_.add(0x10000, pages(4), true));
  const struct {
    const char* what;
    uint64_t iova;
    std::span<std::byte> memory;
  } bad[] = {
      {"empty", 0, {}},
      {"address not aligned", 0x800, pages(1)},
      {"size not aligned", 0, std::span(g_ram).first(2048)},
      {"memory not aligned", 0, std::span(g_ram).subspan(2048, kPage)},
      {"wraps", ~uint64_t{0xfff}, pages(2)},
      {"same start", 0x10000, pages(1)},
      {"starts within", 0x13000, pages(1)},
      {"ends within", 0xf000, pages(2)},
      {"encloses", 0xf000, pages(6)},
  };
  for (const auto& each : bad) {
    const auto added = dma_.add(each.iova, each.memory, true);
    ASSERT_FALSE(added) << each.what;
    EXPECT_EQ(added.error().code, EINVAL) << each.what;
  }
  EXPECT_TRUE(dma_.add(0xf000, pages(1), true)) << "right before";
  EXPECT_TRUE(dma_.add(0x14000, pages(1), true)) << "right after";
  EXPECT_TRUE(dma_.add(~uint64_t{0xfff}, pages(1), true)) << "the last page";
  EXPECT_EQ(dma_.remove(0x11000).error().code, ENOENT);
}

TEST_F(DmaSpaceTest, MemoryThatCannotBeMappedIsNotRemembered) {
  ASSERT_TRUE(dma_.attach_group(2));
  kernel_.fail("VFIO_IOMMU_MAP_DMA", EIO);
  EXPECT_EQ(dma_.add(0, pages(1), true).error().code, EIO);
  EXPECT_TRUE(dma_.add(0, pages(1), true));
}

TEST_F(DmaSpaceTest, MemoryThatCannotBeUnmappedStaysAdded) {
  ASSERT_TRUE(dma_.add(0, pages(1), true));
  ASSERT_TRUE(dma_.attach_group(2));
  kernel_.fail("VFIO_IOMMU_UNMAP_DMA", EIO);
  EXPECT_EQ(dma_.remove(0).error().code, EIO);
  EXPECT_EQ(dma_.add(0, pages(1), true).error().code, EINVAL);
  EXPECT_TRUE(dma_.remove(0));
}

TEST_F(DmaSpaceTest, MemoryThatIsForgottenIsNeverMappedAgainWhateverTheKernelSays) {
  ASSERT_TRUE(dma_.add(0, pages(1), true));
  ASSERT_TRUE(dma_.attach_group(2));
  kernel_.fail("VFIO_IOMMU_UNMAP_DMA", EIO);
  dma_.forget(0);
  EXPECT_EQ(dma_.remove(0).error().code, ENOENT);
  dma_.detach_group(2);
  ASSERT_TRUE(dma_.attach_group(2));
  EXPECT_EQ(kernel_.dma_mappings(), 0U);
  ASSERT_TRUE(dma_.add(0, pages(1), true));
  dma_.forget(0);
  EXPECT_EQ(kernel_.dma_mappings(), 0U);
}

TEST_F(DmaSpaceTest, AFailureAtTheThirdRegionUndoesTheTwoBefore) {
  for (uint64_t region = 0; region < 4; ++region)
    ASSERT_TRUE(dma_.add(region << 20, pages(1), true));
  kernel_.fail("VFIO_IOMMU_MAP_DMA", EFAULT, 3);
  EXPECT_EQ(dma_.attach_group(2).error().code, EFAULT);
  EXPECT_TRUE(kernel_.nothing_leaked());
  ASSERT_TRUE(dma_.attach_group(2));
  EXPECT_EQ(kernel_.dma_mappings(), 4U);
}

TEST_F(DmaSpaceTest, WhicheverCallOfAnAttachFailsNothingIsLeftAndTheNextAttachWorks) {
  ASSERT_TRUE(dma_.add(0, pages(2), true));
  ASSERT_TRUE(dma_.add(0x100000, pages(1), true));
  ASSERT_TRUE(dma_.attach_group(2));
  const size_t calls = kernel_.calls().size();
  dma_.detach_group(2);
  for (unsigned nth = 1; nth <= calls; ++nth) {
    SCOPED_TRACE(nth);
    kernel_.fail("*", EIO, nth);
    ASSERT_FALSE(dma_.attach_group(2));
    EXPECT_TRUE(kernel_.nothing_leaked());
    ASSERT_TRUE(dma_.attach_group(2));
    EXPECT_EQ(kernel_.dma_mappings(), 2U);
    dma_.detach_group(2);
    EXPECT_TRUE(kernel_.nothing_leaked());
  }
}

TEST_F(DmaSpaceTest, ASecondGroupThatFailsLeavesTheFirstAsItWas) {
  ASSERT_TRUE(dma_.add(0, pages(1), true));
  ASSERT_TRUE(dma_.attach_group(2));
  for (unsigned nth = 1; nth <= 4; ++nth) {
    kernel_.fail("*", EIO, nth);
    ASSERT_FALSE(dma_.attach_group(3)) << nth;
    EXPECT_EQ(kernel_.open_fds(), 2U);
    EXPECT_EQ(kernel_.dma_mappings(), 1U);
  }
  EXPECT_TRUE(dma_.attach_group(3));
}

TEST_F(DmaSpaceTest, ABusIsNotResetUnderADeviceOfAnotherVm) {
  ASSERT_TRUE(dma_.attach_group(2));
  const HotResetFunction ours{.bdf = {.bus = 1, .device = 2}, .group = 2};
  const HotResetFunction theirs{.bdf = {.bus = 1, .device = 3}, .group = 3};
  for (const auto& functions : {std::vector{ours, theirs}, std::vector{theirs, ours}}) {
    const auto reset = dma_.hot_reset(100, Backend::Group, functions);
    ASSERT_FALSE(reset);
    EXPECT_EQ(reset.error().code, EPERM);
    EXPECT_THAT(reset.error().message(), HasSubstr("0000:01:03.0, of IOMMU group 3"));
  }
  EXPECT_THAT(kernel_.calls("VFIO_DEVICE_PCI_HOT_RESET"), IsEmpty());
}

TEST_F(DmaSpaceTest, TheEndOfTheSpaceClosesEverything) {
  {
    DmaSpace dma(kernel_);
    ASSERT_TRUE(dma.add(0, pages(1), true));
    ASSERT_TRUE(dma.attach_group(2));
    ASSERT_TRUE(dma.attach_group(3));
  }
  EXPECT_TRUE(kernel_.nothing_leaked());
}

}  // namespace
}  // namespace passthru
