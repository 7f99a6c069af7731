// SPDX-License-Identifier: MIT
// The addresses of large mappings: the calculation, and what LinuxKernel maps.
#include "vfio/mapping_address.h"

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>

#include "base/fd.h"
#include "vfio/linux_kernel.h"

namespace passthru {
namespace {

constexpr uint64_t kKiB = uint64_t{1} << 10;
constexpr uint64_t kMiB = uint64_t{1} << 20;
constexpr uint64_t kGiB = uint64_t{1} << 30;

TEST(MappingAddress, TheLargestHugePageThatFitsDecides) {
  const struct {
    uint64_t size;
    uint64_t page;
  } cases[] = {{0, 0},
               {4 * kKiB, 0},
               {2 * kMiB - 1, 0},
               {2 * kMiB, 2 * kMiB},
               {kGiB - 1, 2 * kMiB},
               {kGiB, kGiB},
               {256 * kGiB, kGiB},
               {UINT64_MAX, kGiB}};
  for (const auto& each : cases) EXPECT_EQ(huge_page_of(each.size), each.page) << each.size;
}

TEST(MappingAddress, AddressAndOffsetAgreeModuloTheAlignment) {
  const struct {
    uint64_t start;
    uint64_t offset;
    uint64_t alignment;
    uint64_t address;
  } cases[] = {{0x7f00'0000'0000, 0, kGiB, 0x7f00'0000'0000},
               {0x7f00'0000'1000, 0, kGiB, 0x7f00'4000'0000},
               {0x7f00'0000'1000, 0x1000, kGiB, 0x7f00'0000'1000},
               {0x7f00'0000'2000, 0x1000, kGiB, 0x7f00'4000'1000},
               {0x7f00'0000'1000, 0x3000, 2 * kMiB, 0x7f00'0000'3000},
               {0x7f00'0001'0000, 0x20'0000'3000, 2 * kMiB, 0x7f00'0020'3000},
               {0x7f00'0000'1000, uint64_t{2} << 40, 2 * kMiB, 0x7f00'0020'0000},
               {0x1000, 0xffff'ffff'ffff'f000, kGiB, 0x3fff'f000}};
  for (const auto& each : cases) {
    EXPECT_EQ(congruent_address(each.start, each.offset, each.alignment), each.address)
        << std::hex << each.start << " " << each.offset;
  }
}

/// A file without content, which stands for the device.
Fd file_of(uint64_t size) {
  Fd file(::memfd_create("region", MFD_CLOEXEC));
  EXPECT_EQ(::ftruncate(file.get(), static_cast<off_t>(size)), 0);
  return file;
}

/// Returns the size of this process's address space in bytes.
int64_t addresses_in_use() {
  int64_t pages = 0;
  std::ifstream("/proc/self/statm") >> pages;
  return pages * ::sysconf(_SC_PAGESIZE);
}

TEST(LinuxKernelMapping, OfALargeRegionIsCongruentAndLeavesNoReservation) {
  for (const uint64_t size : {2 * kMiB, 4 * kMiB + 4 * kKiB, kGiB, kGiB + 2 * kMiB}) {
    for (const uint64_t offset : {uint64_t{0}, uint64_t{0x3000}, 2 * kMiB + 0x1000, kGiB}) {
      SCOPED_TRACE(testing::Message() << size << " bytes at " << offset);
      const Fd file = file_of(offset + size);
      const int64_t before = addresses_in_use();
      const auto mapped = LinuxKernel().map_region(file.get(), offset, size, true);
      ASSERT_TRUE(mapped) << mapped.error().message();
      EXPECT_LT(addresses_in_use() - before, static_cast<int64_t>(size + kMiB));
      EXPECT_EQ(mapped->size, size);
      const auto address = reinterpret_cast<uint64_t>(mapped->address);
      EXPECT_EQ((address - offset) % huge_page_of(size), 0U) << mapped->address;
      mapped->address[0] = std::byte{0x11};
      mapped->address[size - 1] = std::byte{0x22};
      std::byte first{};
      std::byte last{};
      EXPECT_EQ(::pread(file.get(), &first, 1, static_cast<off_t>(offset)), 1);
      EXPECT_EQ(::pread(file.get(), &last, 1, static_cast<off_t>(offset + size - 1)), 1);
      EXPECT_EQ(first, std::byte{0x11});
      EXPECT_EQ(last, std::byte{0x22});
      LinuxKernel().unmap_region(*mapped);
    }
  }
}

TEST(LinuxKernelMapping, ThatTheKernelRefusesReservesNothing) {
  const int64_t before = addresses_in_use();
  const auto mapped = LinuxKernel().map_region(-1, 0, 64 * kMiB, true);
  ASSERT_FALSE(mapped);
  EXPECT_EQ(mapped.error().code, EBADF);
  EXPECT_LT(addresses_in_use() - before, static_cast<int64_t>(kMiB));
}

TEST(LinuxKernelMapping, WithoutRoomToChooseIsAnywhere) {
  constexpr uint64_t kSize = 64 * kMiB;
  const Fd file = file_of(kSize);
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) {  // its limit has room for one mapping, not for a reservation too
    rlimit limit{};
    ::getrlimit(RLIMIT_AS, &limit);
    limit.rlim_cur = static_cast<uint64_t>(addresses_in_use()) + kSize + 16 * kMiB;
    if (::setrlimit(RLIMIT_AS, &limit) != 0) ::_exit(2);
    ::_exit(LinuxKernel().map_region(file.get(), 0, kSize, true) ? 0 : 1);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 0);
}

}  // namespace
}  // namespace passthru
