// SPDX-License-Identifier: MIT
// Tests of the arguments of iommufd's ioctls, and of its answers.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/vfio/answered_ioctl.h"
#include "vfio/iommufd_abi.h"
#include "vfio/linux_kernel.h"

namespace passthru {
namespace {

constexpr int kIommufd = 1000;

TEST(LinuxKernelIommufd, AFileIsMappedAtItsOffset) {
  for (const bool writable : {false, true}) {
    unsigned calls = 0;
    const Answering kernel([&](unsigned long request, void* argument) {
      ++calls;
      const auto* map = static_cast<const abi::IoasMapFile*>(argument);
      EXPECT_EQ(request, 0x3b8fU) << "_IO(';', 0x8f)";
      EXPECT_EQ(map->size, 40U);
      EXPECT_EQ(map->flags, writable ? 7U : 5U) << "fixed IOVA, writable, readable";
      EXPECT_EQ(map->ioas, 3U);
      EXPECT_EQ(map->fd, 17);
      EXPECT_EQ(map->start, 0x40000U);
      EXPECT_EQ(map->length, 0x2000U);
      EXPECT_EQ(map->iova, 0x1'0000'0000U);
      return 0;
    });
    EXPECT_TRUE(LinuxKernel().map_ioas_file(
        kIommufd, 3, 0x1'0000'0000, {.fd = 17, .offset = 0x40000, .size = 0x2000}, writable));
    EXPECT_EQ(calls, 1U);
  }
}

TEST(LinuxKernelIommufd, AKernelThatMapsNoFilesSaysSo) {
  const Answering kernel([](unsigned long, void*) {
    errno = ENOTTY;
    return -1;
  });
  const auto mapped = LinuxKernel().map_ioas_file(kIommufd, 3, 0, {}, true);
  ASSERT_FALSE(mapped);
  EXPECT_EQ(mapped.error().code, ENOTTY);
  EXPECT_EQ(mapped.error().operation, "IOMMU_IOAS_MAP_FILE");
}

}  // namespace
}  // namespace passthru
