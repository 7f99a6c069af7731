// SPDX-License-Identifier: MIT
// Contract tests: containers, groups and DMA mappings (type1v2).
#pragma once

#include "tests/contract/kernel_contract.h"

namespace passthru {

TEST_P(GroupContract, SpeaksTheApiAndOffersType1v2) {
  EXPECT_EQ(*kernel().api_version(container()), VFIO_API_VERSION);
  EXPECT_TRUE(*kernel().has_extension(container(), VFIO_TYPE1v2_IOMMU));
}

TEST_P(GroupContract, AGroupHasOneUserAtATime) {
  EXPECT_ERRNO(EBUSY, kernel().open_group(target_.group));
  group_.reset();
  EXPECT_TRUE(kernel().open_group(target_.group));
}

TEST_P(GroupContract, AGroupThatDoesNotExistIsAbsent) {
  EXPECT_ERRNO(ENOENT, kernel().open_group(4000000));
}

TEST_P(GroupContract, AGroupIsViableAndKnowsItsContainer) {
  EXPECT_TRUE(kernel().group_status(group())->viable);
  EXPECT_FALSE(kernel().group_status(group())->container_set);
  attach();
  EXPECT_TRUE(kernel().group_status(group())->container_set);
}

TEST_P(GroupContract, AttachingHasAnOrder) {
  EXPECT_ERRNO(EINVAL, kernel().set_iommu(container(), VFIO_TYPE1v2_IOMMU));
  EXPECT_ERRNO(EINVAL, kernel().open_device(group(), target_.bdf.str()));
  EXPECT_ERRNO(EINVAL, kernel().unset_container(group()));
  attach();
  EXPECT_ERRNO(EINVAL, kernel().set_iommu(container(), VFIO_TYPE1v2_IOMMU));
  EXPECT_ERRNO(EINVAL, kernel().set_container(group(), container()));
  EXPECT_ERRNO(ENODEV, kernel().open_device(group(), "ffff:ff:1f.7"));
}

TEST_P(GroupContract, AGroupWithAnOpenDeviceStaysInItsContainer) {
  open_device();
  EXPECT_ERRNO(EBUSY, kernel().unset_container(group()));
  device_.reset();
  ASSERT_DONE(kernel().unset_container(group()));
  attach();
}

TEST_P(GroupContract, ADeviceThatIsOpenOpensASecondTimeAsItIs) {
  open_device();
  write_config<uint8_t>(PCI_INTERRUPT_LINE, 0x5a);
  auto second = kernel().open_device(group(), target_.bdf.str());
  ASSERT_TRUE(second) << second.error().message();
  device_ = std::move(*second);
  EXPECT_EQ(read_config<uint8_t>(PCI_INTERRUPT_LINE), 0x5a) << "the kernel did not reset it";
  EXPECT_ERRNO(EBUSY, kernel().unset_container(group()));
}

TEST_P(GroupContract, AnOpenDeviceKeepsItsGroupBusy) {
  open_device();
  group_.reset();
  EXPECT_ERRNO(EBUSY, kernel().open_group(target_.group));
  device_.reset();
  EXPECT_TRUE(kernel().open_group(target_.group));
}

TEST_P(GroupContract, MemoryIsMappedAndUnmappedWhole) {
  const Pages pages(4);
  attach();
  ASSERT_DONE(kernel().map_dma(container(), 0x100000, pages.span(), true));
  EXPECT_ERRNO(EEXIST, kernel().map_dma(container(), 0x103000, pages.span(), true));
  EXPECT_ERRNO(EEXIST, kernel().map_dma(container(), 0x100000, pages.span().first(4096), false));
  EXPECT_ERRNO(EINVAL, kernel().unmap_dma(container(), 0x101000, 0x1000));
  ASSERT_DONE(kernel().unmap_dma(container(), 0x100000, 0x4000));
  EXPECT_ERRNO(ENOENT, kernel().unmap_dma(container(), 0x100000, 0x4000));
}

TEST_P(GroupContract, MappingsAreWholePagesThatDoNotWrap) {
  const Pages pages(4);
  attach();
  EXPECT_ERRNO(EINVAL, kernel().map_dma(container(), 0x100800, pages.span(), true));
  EXPECT_ERRNO(EINVAL, kernel().map_dma(container(), 0x100000, pages.span().first(2048), true));
  EXPECT_ERRNO(EINVAL,
               kernel().map_dma(container(), 0x100000, pages.span().subspan(2048, 4096), true));
  EXPECT_ERRNO(EINVAL, kernel().map_dma(container(), 0x100000, pages.span().first(0), true));
  EXPECT_ERRNO(EINVAL, kernel().map_dma(container(), ~uint64_t{0xfff}, pages.span(), true));
}

TEST_P(GroupContract, OnlyUsableAddressesAreMapped) {
  const Pages page(1);
  EXPECT_ERRNO(EINVAL, kernel().container_iova_ranges(container()));
  attach();
  const auto ranges = kernel().container_iova_ranges(container());
  ASSERT_TRUE(ranges) << ranges.error().message();
  expect_usable(*ranges);
  ASSERT_DONE(kernel().map_dma(container(), 0x100000, page.span(), true));
  if (ranges->front().last == UINT64_MAX) return;
  const uint64_t reserved = ranges->front().last + 1;
  EXPECT_ERRNO(EINVAL, kernel().map_dma(container(), reserved, page.span(), true));
}

TEST_P(GroupContract, MappingsGoWithTheLastGroup) {
  const Pages pages(4);
  EXPECT_ERRNO(EINVAL, kernel().map_dma(container(), 0x100000, pages.span(), true));
  attach();
  ASSERT_DONE(kernel().map_dma(container(), 0x100000, pages.span(), true));
  ASSERT_DONE(kernel().unset_container(group()));
  attach();
  ASSERT_DONE(kernel().map_dma(container(), 0x100000, pages.span(), true));
}

}  // namespace passthru
