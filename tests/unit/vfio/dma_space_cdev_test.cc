// SPDX-License-Identifier: MIT
// Tests of a VM's memory in its IOAS while a device is attached through its own node. A failure on
// the way leaves nothing behind, and container and IOAS together both have all memory.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <cerrno>
#include <string>
#include <utility>

#include "tests/unit/vfio/dma_space_fixture.h"

namespace passthru {
namespace {

using ::testing::HasSubstr;
using ::testing::SizeIs;

class DmaSpaceCdev : public DmaSpaceTest {
 protected:
  /// Attaches the drive through its own node.
  Result<Fd> attach() {
    Fd node = PASSTHRU_TRY(kernel_.open_cdev(FakeSpec::nvme().cdev()));
    return dma_.attach_cdev(std::move(node));
  }
  /// Returns an iommufd that another process has opened.
  Fd handed_over() { return std::move(*kernel_.open_iommufd()); }
};

TEST_F(DmaSpaceCdev, TheFirstDeviceGetsAllMemoryAndTheLastTakesItAway) {
  ASSERT_TRUE(dma_.add(0, pages(2), true));
  auto drive = attach();
  ASSERT_TRUE(drive) << drive.error().message();
  ASSERT_TRUE(dma_.add(0x100000, pages(1), true)) << "memory added later";
  EXPECT_EQ(kernel_.dma_mappings(), 2U);
  const auto maps = dma_.maps();
  ASSERT_THAT(maps, SizeIs(1));
  EXPECT_EQ(maps[0].backend, Backend::Cdev);
  EXPECT_EQ(maps[0].maps, 2U);
  EXPECT_EQ(maps[0].bytes, 3U * 4096);
  dma_.detach_cdev(std::move(*drive));
  EXPECT_TRUE(kernel_.nothing_leaked());
  EXPECT_THAT(dma_.maps(), SizeIs(0));
}

TEST_F(DmaSpaceCdev, WhicheverCallOfAnAttachFailsNothingIsLeftAndTheNextAttachWorks) {
  ASSERT_TRUE(dma_.add(0, pages(2), true));
  ASSERT_TRUE(dma_.add(0x100000, pages(1), true));
  kernel_.forget_calls();
  auto drive = attach();
  ASSERT_TRUE(drive) << drive.error().message();
  const size_t calls = kernel_.calls().size();
  dma_.detach_cdev(std::move(*drive));
  for (unsigned nth = 1; nth <= calls; ++nth) {
    SCOPED_TRACE(nth);
    kernel_.fail("*", EIO, nth);
    ASSERT_FALSE(attach());
    EXPECT_TRUE(kernel_.nothing_leaked());
    auto again = attach();
    ASSERT_TRUE(again) << again.error().message();
    EXPECT_EQ(kernel_.dma_mappings(), 2U);
    dma_.detach_cdev(std::move(*again));
  }
}

TEST_F(DmaSpaceCdev, AMapThatTheKernelRefusesLeavesTheMemoryAsItWas) {
  ASSERT_TRUE(dma_.add(0, pages(2), true));
  auto drive = attach();
  ASSERT_TRUE(drive);
  kernel_.fail("IOMMU_IOAS_MAP", EFAULT);
  EXPECT_EQ(dma_.add(0x100000, pages(1), true).error().code, EFAULT);
  EXPECT_EQ(kernel_.dma_mappings(), 1U);
  EXPECT_EQ(dma_.remove(0x100000).error().code, ENOENT);
  EXPECT_TRUE(dma_.add(0x100000, pages(1), true));
  dma_.detach_cdev(std::move(*drive));
}

TEST_F(DmaSpaceCdev, AnUnmapThatTheKernelRefusesLeavesTheMemoryThere) {
  ASSERT_TRUE(dma_.add(0, pages(2), true));
  auto drive = attach();
  ASSERT_TRUE(drive);
  kernel_.fail("IOMMU_IOAS_UNMAP", EIO);
  EXPECT_EQ(dma_.remove(0).error().code, EIO);
  EXPECT_EQ(kernel_.dma_mappings(), 1U);
  EXPECT_TRUE(dma_.remove(0));
  dma_.detach_cdev(std::move(*drive));
}

TEST_F(DmaSpaceCdev, OfferedMemoryThatTheKernelRefusesKeepsNoDeviceAway) {
  ASSERT_TRUE(dma_.offer(0x200000, pages(1)));
  kernel_.fail("IOMMU_IOAS_MAP", EFAULT);
  auto drive = attach();
  ASSERT_TRUE(drive) << drive.error().message();
  EXPECT_EQ(kernel_.dma_mappings(), 0U);
  EXPECT_TRUE(dma_.remove(0x200000)) << "memory that was never mapped can be removed";
  dma_.detach_cdev(std::move(*drive));
}

TEST_F(DmaSpaceCdev, OfferedMemoryIsWhereItIsTaken) {
  auto drive = attach();
  ASSERT_TRUE(drive) << drive.error().message();
  ASSERT_TRUE(dma_.attach_group(3));
  kernel_.fail("IOMMU_IOAS_MAP", EFAULT);
  ASSERT_TRUE(dma_.offer(0x200000, pages(1)));
  EXPECT_EQ(kernel_.dma_mappings(), 1U) << "only the container's mapping";
  kernel_.fail("VFIO_IOMMU_MAP_DMA", EFAULT);
  kernel_.fail("IOMMU_IOAS_MAP", EFAULT);
  EXPECT_EQ(dma_.offer(0x300000, pages(1)).error().code, EFAULT)
      << "neither space accepted the memory";
  EXPECT_EQ(dma_.remove(0x300000).error().code, ENOENT);

  ASSERT_TRUE(dma_.offer(0x300000, pages(1)));
  EXPECT_EQ(kernel_.dma_mappings(), 3U);
  kernel_.fail("VFIO_IOMMU_UNMAP_DMA", EIO);
  dma_.forget(0x300000);
  EXPECT_EQ(kernel_.dma_mappings(), 2U) << "the IOAS unmaps it even if the container fails";
  dma_.detach_group(3);
  dma_.detach_cdev(std::move(*drive));
  EXPECT_TRUE(kernel_.nothing_leaked());
}

TEST_F(DmaSpaceCdev, BothDoorsOfOneVmHaveAllMemory) {
  ASSERT_TRUE(dma_.add(0, pages(2), true));
  auto drive = attach();
  ASSERT_TRUE(drive);
  ASSERT_TRUE(dma_.attach_group(3));
  ASSERT_TRUE(dma_.add(0x100000, pages(1), true));
  EXPECT_EQ(kernel_.dma_mappings(), 4U);
  EXPECT_THAT(dma_.maps(), SizeIs(2));

  kernel_.fail("IOMMU_IOAS_MAP", EFAULT);
  EXPECT_EQ(dma_.add(0x200000, pages(1), true).error().code, EFAULT);
  EXPECT_EQ(kernel_.dma_mappings(), 4U) << "the container's mapping is undone";
  kernel_.fail("IOMMU_IOAS_UNMAP", EIO);
  EXPECT_EQ(dma_.remove(0).error().code, EIO);
  EXPECT_EQ(kernel_.dma_mappings(), 4U) << "the container maps it again";

  dma_.detach_group(3);
  EXPECT_EQ(kernel_.dma_mappings(), 2U);
  dma_.detach_cdev(std::move(*drive));
  EXPECT_TRUE(kernel_.nothing_leaked());
}

TEST_F(DmaSpaceCdev, ADeviceThatIsInUseSaysSo) {
  auto drive = attach();
  ASSERT_TRUE(drive);
  DmaSpace other(kernel_);
  auto node = kernel_.open_cdev(FakeSpec::nvme().cdev());
  ASSERT_TRUE(node);
  const auto second = other.attach_cdev(std::move(*node));
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, EBUSY);
  EXPECT_THAT(second.error().cause, HasSubstr("another process uses the device"));
  EXPECT_THAT(second.error().cause, HasSubstr("already bound to an iommufd"));
  EXPECT_THAT(second.error().cause, HasSubstr("cannot keep caches coherent"));
  EXPECT_THAT(second.error().advice, HasSubstr("fuser"));
  dma_.detach_cdev(std::move(*drive));
}

TEST_F(DmaSpaceCdev, AnIommufdFromOutsideIsKeptForTheNextDevice) {
  {
    DmaSpace dma(kernel_);
    ASSERT_TRUE(dma.use_iommufd(handed_over()));
    for (int round = 0; round < 2; ++round) {
      auto node = kernel_.open_cdev(FakeSpec::nvme().cdev());
      auto drive = dma.attach_cdev(std::move(*node));
      ASSERT_TRUE(drive) << drive.error().message();
      EXPECT_EQ(dma.use_iommufd(handed_over()).error().code, EINVAL);
      dma.detach_cdev(std::move(*drive));
    }
  }
  EXPECT_TRUE(kernel_.nothing_leaked());
}

TEST_F(DmaSpaceCdev, WhatIsNoIommufdIsRefusedAndTheRightOneMayFollow) {
  {
    DmaSpace dma(kernel_);
    constexpr int kClosed = 1000;
    const int something_else = kernel_.open_container()->release();
    for (const auto& [fd, code] : {std::pair{kClosed, EBADF}, std::pair{something_else, ENOTTY}}) {
      const auto refused = dma.use_iommufd(Fd(fd));
      ASSERT_FALSE(refused);
      EXPECT_EQ(refused.error().code, code);
      EXPECT_EQ(refused.error().cause, "descriptor " + std::to_string(fd) + " is not an iommufd");
      EXPECT_THAT(refused.error().advice, HasSubstr("/dev/iommu"));
    }
    EXPECT_EQ(kernel_.open_fds(), 0U) << "the given descriptors are closed";

    ASSERT_TRUE(dma.use_iommufd(handed_over()));
    auto node = kernel_.open_cdev(FakeSpec::nvme().cdev());
    auto drive = dma.attach_cdev(std::move(*node));
    ASSERT_TRUE(drive) << drive.error().message();
    dma.detach_cdev(std::move(*drive));
  }
  EXPECT_TRUE(kernel_.nothing_leaked());
}

TEST_F(DmaSpaceCdev, ABusResetNeedsAllOfTheBusInOneIommufd) {
  const HotResetFunction ours{.bdf = {.bus = 1, .device = 2}, .owned = true};
  const HotResetFunction theirs{.bdf = {.bus = 1, .device = 3}, .owned = false};
  const auto refused = dma_.hot_reset(100, Backend::Cdev, std::array{ours, theirs});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, EPERM);
  EXPECT_THAT(refused.error().message(), HasSubstr("also reset 0000:01:03.0"));
  EXPECT_TRUE(kernel_.calls("VFIO_DEVICE_PCI_HOT_RESET").empty());
}

}  // namespace
}  // namespace passthru
