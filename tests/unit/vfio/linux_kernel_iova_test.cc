// SPDX-License-Identifier: MIT
// How LinuxKernel asks for the ranges of IOVAs, and answers that need more room.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <linux/vfio.h>

#include <algorithm>
#include <cstring>
#include <vector>

#include "tests/unit/vfio/answered_ioctl.h"
#include "vfio/iommufd_abi.h"
#include "vfio/linux_kernel.h"

namespace passthru {
namespace {

using ::testing::ElementsAre;

using Ranges = std::vector<IovaRange>;

constexpr int kDescriptor = 1000;

TEST(LinuxKernelIova, AContainerIsAskedAgainWithRoomForItsCapabilities) {
  const Ranges expected{{0, 0xfedf'ffff}, {0xfef0'0000, 0x7f'ffff'ffff}};
  std::vector<uint32_t> asked;
  const Answering kernel([&](unsigned long request, void* argument) {
    EXPECT_EQ(request, static_cast<unsigned long>(VFIO_IOMMU_GET_INFO));
    auto* info = static_cast<vfio_iommu_type1_info*>(argument);
    const uint32_t room = info->argsz;
    asked.push_back(room);
    vfio_iommu_type1_info_cap_iova_range cap{};
    cap.header = {VFIO_IOMMU_TYPE1_INFO_CAP_IOVA_RANGE, 1, 0};
    cap.nr_iovas = 2;
    info->argsz = sizeof *info + sizeof cap + 2 * sizeof(vfio_iova_range);
    info->flags = VFIO_IOMMU_INFO_PGSIZES | VFIO_IOMMU_INFO_CAPS;
    info->cap_offset = 0;
    if (room < info->argsz) return 0;
    info->cap_offset = sizeof *info;
    auto* const behind = reinterpret_cast<std::byte*>(info + 1);
    std::memcpy(behind, &cap, sizeof cap);
    std::memcpy(behind + sizeof cap, expected.data(), 2 * sizeof(IovaRange));
    return 0;
  });
  const auto ranges = LinuxKernel().container_iova_ranges(kDescriptor);
  ASSERT_TRUE(ranges) << ranges.error().message();
  EXPECT_EQ(*ranges, expected);
  EXPECT_THAT(asked, ElementsAre(24, 72));
}

TEST(LinuxKernelIova, AContainerThatAlwaysNeedsMoreRoomIsGivenUp) {
  for (const uint32_t more : {8U, UINT32_MAX / 2}) {
    unsigned calls = 0;
    const Answering kernel([&](unsigned long, void* argument) {
      ++calls;
      static_cast<vfio_iommu_type1_info*>(argument)->argsz += more;
      return 0;
    });
    EXPECT_EQ(LinuxKernel().container_iova_ranges(kDescriptor).error().code, EMSGSIZE);
    EXPECT_LE(calls, 3U);
  }
}

TEST(LinuxKernelIova, AContainerWithoutCapabilitiesReportsNoRanges) {
  const Answering kernel([](unsigned long, void* argument) {
    static_cast<vfio_iommu_type1_info*>(argument)->cap_offset = 24;
    return 0;
  });
  EXPECT_EQ(LinuxKernel().container_iova_ranges(kDescriptor).error().code, ENOTSUP);
}

/// Answers as iommufd does with these ranges.
IoctlAnswer ioas_with(const Ranges& ranges, std::vector<uint32_t>& rooms) {
  return [&ranges, &rooms](unsigned long request, void* argument) {
    EXPECT_EQ(request, 0x3b84U) << "_IO(';', 0x84)";
    auto* query = static_cast<abi::IoasIovaRanges*>(argument);
    EXPECT_EQ(query->size, 32U);
    EXPECT_EQ(query->ioas, 3U);
    EXPECT_EQ(query->reserved, 0U);
    const uint32_t room = query->count;
    rooms.push_back(room);
    query->count = static_cast<uint32_t>(ranges.size());
    std::memcpy(reinterpret_cast<void*>(query->ranges), ranges.data(),
                std::min<size_t>(room, ranges.size()) * sizeof(IovaRange));
    if (room >= ranges.size()) return 0;
    errno = EMSGSIZE;
    return -1;
  };
}

TEST(LinuxKernelIova, AnIoasIsAskedAgainIfItHasMoreRanges) {
  for (const size_t count : {1U, 16U, 17U, 100U}) {
    Ranges expected;
    for (uint64_t i = 0; i < count; ++i) expected.push_back({i * 0x2000, i * 0x2000 + 0xfff});
    std::vector<uint32_t> rooms;
    const Answering kernel(ioas_with(expected, rooms));
    const auto ranges = LinuxKernel().ioas_iova_ranges(kDescriptor, 3);
    ASSERT_TRUE(ranges) << ranges.error().message();
    EXPECT_EQ(*ranges, expected);
    EXPECT_EQ(rooms.size(), count <= 16 ? 1U : 2U);
  }
}

TEST(LinuxKernelIova, AnIoasThatAlwaysHasMoreRangesIsGivenUp) {
  unsigned calls = 0;
  const Answering kernel([&](unsigned long, void* argument) {
    ++calls;
    static_cast<abi::IoasIovaRanges*>(argument)->count *= 2;
    errno = EMSGSIZE;
    return -1;
  });
  EXPECT_EQ(LinuxKernel().ioas_iova_ranges(kDescriptor, 3).error().code, EPROTO);
  EXPECT_LE(calls, 20U);
}

TEST(LinuxKernelIova, RangesThatDescendAreRefused) {
  const Ranges descending{{0x2000, 0x2fff}, {0, 0xfff}};
  std::vector<uint32_t> rooms;
  const Answering kernel(ioas_with(descending, rooms));
  EXPECT_EQ(LinuxKernel().ioas_iova_ranges(kDescriptor, 3).error().code, EBADMSG);
}

}  // namespace
}  // namespace passthru
