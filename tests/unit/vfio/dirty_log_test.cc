// SPDX-License-Identifier: MIT
// Tests of dirty-page tracking in each address space, reported for a whole range of memory.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cerrno>
#include <utility>
#include <vector>

#include "tests/unit/vfio/dma_space_fixture.h"

namespace passthru {
namespace {

using ::testing::HasSubstr;

class DirtyLog : public DmaSpaceTest {
 protected:
  static constexpr uint32_t kDrive = 2, kNic = 3;
  using Bits = std::vector<uint64_t>;
  Bits dirty(uint64_t iova) {
    auto pages = dma_.dirty_pages(iova);
    EXPECT_TRUE(pages) << pages.error().message();
    return pages.value_or(Bits{});
  }
};

TEST_F(DirtyLog, TellsOfMappedMemoryThatDevicesMayWrite) {
  ASSERT_TRUE(dma_.add(0, pages(2), true));
  ASSERT_TRUE(dma_.add(0x100000, pages(3), false));
  ASSERT_TRUE(dma_.attach_group(kDrive));
  ASSERT_TRUE(dma_.start_dirty_log());
  ASSERT_TRUE(dma_.add(0x200000, pages(1), true)) << "memory added later";
  EXPECT_EQ(dirty(0), Bits{3});
  EXPECT_EQ(dirty(0x100000), Bits{0}) << "devices cannot write to it";
  EXPECT_EQ(dirty(0x200000), Bits{1});
  EXPECT_EQ(dma_.dirty_pages(0x1000).error().code, ENOENT);
  dma_.stop_dirty_log();
  EXPECT_EQ(dma_.dirty_pages(0).error().code, EINVAL);
  dma_.detach_group(kDrive);
}

TEST_F(DirtyLog, IncludesDevicesThatComeLater) {
  ASSERT_TRUE(dma_.add(0, pages(2), true));
  ASSERT_TRUE(dma_.start_dirty_log());
  EXPECT_EQ(dirty(0), Bits{0}) << "no device is attached";
  ASSERT_TRUE(dma_.attach_group(kDrive));
  EXPECT_EQ(dirty(0), Bits{3});
  dma_.detach_group(kDrive);
  EXPECT_EQ(dirty(0), Bits{0});
  dma_.stop_dirty_log();
}

TEST_F(DirtyLog, ThatTheKernelRefusesIsOffAndKeepsAFirstDeviceAway) {
  ASSERT_TRUE(dma_.add(0, pages(2), true));
  ASSERT_TRUE(dma_.attach_group(kDrive));
  kernel_.fail("VFIO_IOMMU_DIRTY_PAGES", ENOMEM);
  EXPECT_EQ(dma_.start_dirty_log().error().code, ENOMEM);
  EXPECT_EQ(dma_.dirty_pages(0).error().code, EINVAL);
  dma_.detach_group(kDrive);

  ASSERT_TRUE(dma_.start_dirty_log());
  kernel_.fail("VFIO_IOMMU_DIRTY_PAGES", ENOMEM);
  EXPECT_EQ(dma_.attach_group(kNic).error().code, ENOMEM);
  EXPECT_TRUE(kernel_.nothing_leaked());
  EXPECT_TRUE(dma_.attach_group(kNic));
  dma_.detach_group(kNic);
}

TEST_F(DirtyLog, IsNotForDevicesThatWereOpenedByTheirOwnNodes) {
  ASSERT_TRUE(dma_.attach_group(kNic));
  auto drive = dma_.attach_cdev(*kernel_.open_cdev(FakeSpec::nvme().cdev()));
  ASSERT_TRUE(drive) << drive.error().message();
  const auto refused = dma_.start_dirty_log();
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, EOPNOTSUPP);
  EXPECT_THAT(refused.error().message(),
              HasSubstr("Open the devices through their groups: --backend=group"));
  EXPECT_TRUE(kernel_.calls("VFIO_IOMMU_DIRTY_PAGES").empty()) << "none was begun";
  dma_.detach_cdev(std::move(*drive));

  ASSERT_TRUE(dma_.start_dirty_log());
  EXPECT_EQ(dma_.attach_cdev(*kernel_.open_cdev(FakeSpec::nvme().cdev())).error().code, EOPNOTSUPP);
  dma_.stop_dirty_log();
  dma_.detach_group(kNic);
  EXPECT_TRUE(kernel_.nothing_leaked());
}

}  // namespace
}  // namespace passthru
