// SPDX-License-Identifier: MIT
// Contract tests: a device's own node and iommufd. They cover the order of opening, mutual
// exclusion, and mappings in an IOAS.
#pragma once

#include <fcntl.h>

#include "tests/contract/kernel_contract.h"

namespace passthru {

TEST_P(NodeContract, NothingIsTheDevicesBeforeItIsBound) {
  std::array<std::byte, 4> bytes{};
  EXPECT_ERRNO(EINVAL, kernel().device_info(device()));
  EXPECT_ERRNO(EINVAL, kernel().region_info(device(), Region::Config));
  EXPECT_ERRNO(EINVAL, kernel().irq_info(device(), Irq::Msix));
  EXPECT_ERRNO(EINVAL, kernel().reset_device(device()));
  EXPECT_ERRNO(EINVAL, kernel().read_region(device(), 0, bytes));
  EXPECT_ERRNO(EINVAL, kernel().attach_ioas(device(), 1));
  ASSERT_DONE(kernel().bind_iommufd(device(), iommufd()));
  ASSERT_DONE(kernel().device_info(device()));
}

TEST_P(NodeContract, AnIommufdThatIsNoneIsRefused) {
  EXPECT_ERRNO(EINVAL, kernel().bind_iommufd(device(), -1));
  EXPECT_ERRNO(EBADF, kernel().bind_iommufd(device(), 1000000));
  EXPECT_ERRNO(EBADFD, kernel().bind_iommufd(device(), device()));
  ASSERT_DONE(kernel().bind_iommufd(device(), iommufd()));
}

TEST_P(NodeContract, ADeviceIsBoundOnce) {
  ASSERT_DONE(kernel().bind_iommufd(device(), iommufd()));
  EXPECT_ERRNO(EINVAL, kernel().bind_iommufd(device(), iommufd()));
  auto second = kernel().open_cdev(target_.cdev);
  ASSERT_TRUE(second) << second.error().message();
  EXPECT_ERRNO(EINVAL, kernel().bind_iommufd(second->get(), iommufd()));
  device_.reset();
  ASSERT_DONE(kernel().bind_iommufd(second->get(), iommufd()));
}

TEST_P(NodeContract, ANodeThatDoesNotExistIsAbsent) {
  EXPECT_ERRNO(ENOENT, kernel().open_cdev("vfio4000000"));
}

TEST_P(NodeContract, AnIoasThatDoesNotExistIsRefused) {
  ASSERT_DONE(kernel().bind_iommufd(device(), iommufd()));
  EXPECT_ERRNO(ENOENT, kernel().attach_ioas(device(), 4000000));
  const Pages pages(1);
  EXPECT_ERRNO(ENOENT, kernel().map_ioas(iommufd(), 4000000, 0x100000, pages.span(), true));
  EXPECT_ERRNO(ENOENT, kernel().unmap_ioas(iommufd(), {4000000, 0x100000, 0x1000}));
  EXPECT_ERRNO(ENOENT, kernel().destroy_ioas(iommufd(), 4000000));
}

TEST_P(NodeContract, AGroupAndANodeExcludeEachOther) {
  {
    auto group = kernel().open_group(target_.group);
    ASSERT_TRUE(group) << group.error().message();
    EXPECT_ERRNO(EBUSY, kernel().bind_iommufd(device(), iommufd()));
  }
  ASSERT_DONE(kernel().bind_iommufd(device(), iommufd()));
  EXPECT_ERRNO(EBUSY, kernel().open_group(target_.group));
  device_.reset();
  EXPECT_TRUE(kernel().open_group(target_.group));
}

TEST_P(NodeContract, AnIoasWithADeviceStays) {
  ASSERT_DONE(kernel().bind_iommufd(device(), iommufd()));
  const auto ioas = kernel().alloc_ioas(iommufd());
  ASSERT_TRUE(ioas) << ioas.error().message();
  ASSERT_DONE(kernel().attach_ioas(device(), *ioas));
  EXPECT_ERRNO(EBUSY, kernel().destroy_ioas(iommufd(), *ioas));
  ASSERT_DONE(kernel().detach_ioas(device()));
  ASSERT_DONE(kernel().destroy_ioas(iommufd(), *ioas));
}

TEST_P(NodeContract, ADeviceMayMoveFromOneIoasToAnother) {
  ASSERT_DONE(kernel().bind_iommufd(device(), iommufd()));
  const uint32_t one = *kernel().alloc_ioas(iommufd());
  const uint32_t other = *kernel().alloc_ioas(iommufd());
  ASSERT_DONE(kernel().attach_ioas(device(), one));
  ASSERT_DONE(kernel().attach_ioas(device(), other));
  ASSERT_DONE(kernel().destroy_ioas(iommufd(), one));
  EXPECT_ERRNO(EBUSY, kernel().destroy_ioas(iommufd(), other));
}

TEST_P(NodeContract, AnIoasMapsAndUnmapsWhole) {
  const Pages pages(4);
  const uint32_t ioas = *kernel().alloc_ioas(iommufd());
  ASSERT_DONE(kernel().map_ioas(iommufd(), ioas, 0x100000, pages.span(), true));
  EXPECT_ERRNO(EEXIST, kernel().map_ioas(iommufd(), ioas, 0x103000, pages.span(), true));
  EXPECT_ERRNO(ENOENT, kernel().unmap_ioas(iommufd(), {ioas, 0x101000, 0x1000}));
  ASSERT_DONE(kernel().unmap_ioas(iommufd(), {ioas, 0x100000, 0x4000}));
  EXPECT_ERRNO(ENOENT, kernel().unmap_ioas(iommufd(), {ioas, 0x100000, 0x4000}));
}

TEST_P(NodeContract, OnlyUsableAddressesAreMapped) {
  const Pages page(1);
  EXPECT_ERRNO(ENOENT, kernel().ioas_iova_ranges(iommufd(), 4000000));
  ASSERT_DONE(kernel().bind_iommufd(device(), iommufd()));
  const uint32_t ioas = *kernel().alloc_ioas(iommufd());
  const auto unrestricted = kernel().ioas_iova_ranges(iommufd(), ioas);
  ASSERT_TRUE(unrestricted) << unrestricted.error().message();
  EXPECT_EQ(*unrestricted, (std::vector<IovaRange>{{0, UINT64_MAX}})) << "without a device";
  ASSERT_DONE(kernel().attach_ioas(device(), ioas));
  const auto ranges = kernel().ioas_iova_ranges(iommufd(), ioas);
  ASSERT_TRUE(ranges) << ranges.error().message();
  expect_usable(*ranges);
  ASSERT_DONE(kernel().map_ioas(iommufd(), ioas, 0x100000, page.span(), true));
  if (ranges->front().last == UINT64_MAX) return;
  const uint64_t reserved = ranges->front().last + 1;
  EXPECT_ERRNO(EINVAL, kernel().map_ioas(iommufd(), ioas, reserved, page.span(), true));
}

TEST_P(NodeContract, AFileIsMappedAsMemoryIsOrTheKernelCannotMapFiles) {
  ASSERT_DONE(kernel().bind_iommufd(device(), iommufd()));
  const uint32_t ioas = *kernel().alloc_ioas(iommufd());
  ASSERT_DONE(kernel().attach_ioas(device(), ioas));
  const Fd memfd(memfd_create("ram", MFD_CLOEXEC));
  ASSERT_EQ(ftruncate(memfd.get(), 0x4000), 0);
  const FileRange file{.fd = memfd.get(), .offset = 0x1000, .size = 0x3000};
  const auto mapped = kernel().map_ioas_file(iommufd(), ioas, 0x100000, file, true);
  if (!mapped) {
    EXPECT_EQ(mapped.error().code, ENOTTY) << "before Linux 6.13: " << mapped.error().message();
    return;
  }
  EXPECT_ERRNO(EEXIST, kernel().map_ioas(iommufd(), ioas, 0x102000, Pages(1).span(), true));
  ASSERT_DONE(kernel().unmap_ioas(iommufd(), {ioas, 0x100000, 0x3000}));
  const Fd program(::open("/proc/self/exe", O_RDONLY | O_CLOEXEC));
  EXPECT_ERRNO(EINVAL, kernel().map_ioas_file(iommufd(), ioas, 0x100000,
                                              {.fd = program.get(), .size = 0x1000}, false));
  EXPECT_ERRNO(EBADF, kernel().map_ioas_file(iommufd(), ioas, 0x100000,
                                             {.fd = 1000000, .size = 0x1000}, false));
}

TEST_P(NodeContract, AMappingIsCopiedWholeToAnotherIoas) {
  const Pages pages(4);
  const uint32_t one = *kernel().alloc_ioas(iommufd());
  const uint32_t other = *kernel().alloc_ioas(iommufd());
  ASSERT_DONE(kernel().map_ioas(iommufd(), one, 0x100000, pages.span(), true));
  EXPECT_ERRNO(ENOENT,
               kernel().copy_ioas(iommufd(), {one, 0x200000, 0x4000}, other, 0x500000, true));
  ASSERT_DONE(kernel().copy_ioas(iommufd(), {one, 0x100000, 0x4000}, other, 0x500000, true));
  EXPECT_ERRNO(EEXIST,
               kernel().copy_ioas(iommufd(), {one, 0x100000, 0x4000}, other, 0x503000, true));
  // Each mapping is unmapped separately.
  ASSERT_DONE(kernel().unmap_ioas(iommufd(), {one, 0x100000, 0x4000}));
  ASSERT_DONE(kernel().unmap_ioas(iommufd(), {other, 0x500000, 0x4000}));
}

TEST_P(NodeContract, AnIoasTakesWholePagesThatDoNotWrap) {
  const Pages pages(4);
  ASSERT_DONE(kernel().bind_iommufd(device(), iommufd()));
  const uint32_t ioas = *kernel().alloc_ioas(iommufd());
  ASSERT_DONE(kernel().attach_ioas(device(), ioas));
  const auto map = [&](uint64_t iova, std::span<std::byte> memory) {
    return kernel().map_ioas(iommufd(), ioas, iova, memory, true);
  };
  EXPECT_ERRNO(EINVAL, map(0x100800, pages.span()));
  EXPECT_ERRNO(EINVAL, map(0x100000, pages.span().first(2048)));
  EXPECT_ERRNO(EINVAL, map(0x100000, pages.span().first(0)));
  EXPECT_ERRNO(EOVERFLOW, map(~uint64_t{0xfff}, pages.span()));
  ASSERT_DONE(map(0x100000, pages.span()));
}

}  // namespace passthru
