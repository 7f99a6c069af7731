// SPDX-License-Identifier: MIT
// Tests of guest RAM: its kinds of memory, its address in this process, and the errors if the host
// lacks huge pages.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <fstream>
#include <string>

#include "vmm/guest_memory.h"
#include "vmm/huge_pages.h"
#include "vmm/memory_map.h"

namespace passthru {
namespace {

using Backing = MemoryBacking::Kind;
using ::testing::HasSubstr;
using ::testing::Not;

/// Returns the line of /proc/self/maps that contains `address`.
std::string mapping_of(const std::byte* address) {
  std::ifstream maps("/proc/self/maps");
  const auto wanted = reinterpret_cast<uintptr_t>(address);
  for (std::string line; std::getline(maps, line);) {
    size_t dash = 0;
    const uintptr_t begin = std::stoull(line, &dash, 16);
    const uintptr_t end = std::stoull(line.substr(dash + 1), nullptr, 16);
    if (begin <= wanted && wanted < end) return line;
  }
  return {};
}

class EachBacking : public ::testing::TestWithParam<Backing> {};

TEST_P(EachBacking, GivesZeroesThatCanBeWrittenOnBothSidesOfTheHole) {
  const auto memory = GuestMemory::create(kLowRamEnd + 4 * kMiB, {.kind = GetParam()});
  ASSERT_TRUE(memory) << memory.error().message();
  const auto& ranges = (*memory)->ranges();
  ASSERT_EQ(ranges.size(), 2U);
  EXPECT_EQ(ranges[0].bytes.size(), kLowRamEnd);
  EXPECT_EQ(ranges[1].address, kHighRamStart);
  EXPECT_EQ(ranges[1].bytes.size(), 4 * kMiB);
  for (const uint64_t address : {uint64_t{0}, kHighRamStart + 4 * kMiB - 1}) {
    EXPECT_EQ((*memory)->at(address, 1)->front(), std::byte{0}) << address;
    const std::array written{std::byte{0xA5}};
    ASSERT_TRUE((*memory)->write(address, written));
    EXPECT_EQ((*memory)->at(address, 1)->front(), std::byte{0xA5}) << address;
  }
}

TEST_P(EachBacking, IsAlignedForLargePagesInTheGuestAndHere) {
  const auto memory = GuestMemory::create(kLowRamEnd + 4 * kMiB, {.kind = GetParam()});
  ASSERT_TRUE(memory) << memory.error().message();
  for (const auto& range : (*memory)->ranges()) {
    const auto here = reinterpret_cast<uintptr_t>(range.bytes.data());
    EXPECT_EQ(here % (2 * kMiB), range.address % (2 * kMiB));
  }
}

TEST_P(EachBacking, IsGoneWithItsOwner) {
  const std::byte* address = nullptr;
  {
    const auto memory = GuestMemory::create(64 * kMiB, {.kind = GetParam()});
    ASSERT_TRUE(memory) << memory.error().message();
    address = (*memory)->ranges().front().bytes.data();
    EXPECT_NE(mapping_of(address), "");
  }
  EXPECT_EQ(mapping_of(address), "");
}

INSTANTIATE_TEST_SUITE_P(GuestMemory, EachBacking,
                         testing::Values(Backing::Anonymous, Backing::Memfd), [](const auto& each) {
                           return each.param == Backing::Memfd ? "Memfd" : "Anonymous";
                         });

TEST(GuestMemory, OfAMemfdIsSharedAndHasAName) {
  const auto of = [](Backing kind) {
    const auto memory = GuestMemory::create(64 * kMiB, {.kind = kind});
    return memory ? mapping_of((*memory)->ranges().front().bytes.data()) : std::string();
  };
  EXPECT_THAT(of(Backing::Memfd), HasSubstr("rw-s"));
  EXPECT_THAT(of(Backing::Memfd), HasSubstr("memfd:guest-ram"));
  EXPECT_THAT(of(Backing::Anonymous), HasSubstr("rw-p"));
  EXPECT_THAT(of(Backing::Anonymous), Not(HasSubstr("memfd")));
}

TEST(GuestMemory, MoreThanAnAddressSpaceHasIsRefusedWithAdvice) {
  const auto refused = MappedMemory::map(uint64_t{1} << 62, {});
  ASSERT_FALSE(refused);
  EXPECT_EQ(
      refused.error().message(),
      "cannot allocate the guest's memory: 4398046511104 MiB: Cannot allocate memory. Give the "
      "guest less with --memory");
}

TEST(GuestMemory, MoreHugePagesThanAHostHasAreRefusedWithAdvice) {
  const auto memory = GuestMemory::create(
      256 * kGiB, {.kind = Backing::Hugetlbfs, .huge_page_size = MemoryBacking::kMaxHugePage});
  ASSERT_FALSE(memory);
  EXPECT_THAT(memory.error().operation, HasSubstr("huge pages"));
  EXPECT_NE(memory.error().advice, "") << memory.error().message();
}

class HugePageFiles : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string name = (std::filesystem::temp_directory_path() / "passthru-huge-XXXXXX").string();
    ASSERT_NE(::mkdtemp(name.data()), nullptr);
    directory = name;
  }
  void TearDown() override { std::filesystem::remove_all(directory); }
  void pool(const char* size, int total, int free, int reserved) const {
    const auto files = directory / (std::string("hugepages-") + size);
    std::filesystem::create_directories(files);
    std::ofstream(files / "nr_hugepages") << total << '\n';
    std::ofstream(files / "free_hugepages") << free << '\n';
    std::ofstream(files / "resv_hugepages") << reserved << '\n';
  }
  std::filesystem::path directory;
};

TEST_F(HugePageFiles, AreReadOfTheSizeThatIsAskedFor) {
  pool("2048kB", 100, 30, 10);
  pool("1048576kB", 2, 1, 0);
  const auto small = huge_pages_of_host(2 * kMiB, directory);
  ASSERT_TRUE(small);
  EXPECT_EQ(small->total, 100U);
  EXPECT_EQ(small->available(), 20U) << "reserved pages are not available";
  EXPECT_EQ(huge_pages_of_host(kGiB, directory)->available(), 1U);
  EXPECT_FALSE(huge_pages_of_host(kMiB, directory));
}

TEST_F(HugePageFiles, TooFewSayHowManyAreFreeAndTheCommandThatReservesTheRest) {
  pool("2048kB", 100, 30, 10);
  for (const int code : {ENOMEM, ENOSPC}) {
    const Error error = explain_huge_pages(code, 256 * kMiB, 2 * kMiB, directory);
    EXPECT_EQ(error.code, ENOMEM);
    EXPECT_THAT(error.cause, HasSubstr("128 pages of 2 MiB are needed, 20 are free"));
    // 80 pages are in use or reserved; 128 more are needed.
    EXPECT_THAT(error.advice,
                HasSubstr("'echo 208 > " + (directory / "hugepages-2048kB/nr_hugepages").string()));
  }
}

TEST_F(HugePageFiles, EnoughThatAreRefusedAllTheSameAreALimitOfTheProcess) {
  pool("1048576kB", 4, 4, 0);
  const Error error = explain_huge_pages(ENOSPC, 2 * kGiB, kGiB, directory);
  EXPECT_THAT(error.cause, HasSubstr("2 pages of 1 GiB are needed; 4 are free"));
  EXPECT_THAT(error.advice, HasSubstr("control group"));
}

TEST_F(HugePageFiles, WithoutAnyTheAdviceIsAnotherSizeOrAnotherMemory) {
  EXPECT_THAT(explain_huge_pages(ENOMEM, 2 * kGiB, kGiB, directory / "none").advice,
              HasSubstr("vm.nr_hugepages"));
  EXPECT_THAT(explain_huge_pages(ENODEV, 2 * kGiB, kGiB, directory).message(),
              HasSubstr("no huge pages of 1 GiB. 'ls " + directory.string()));
  EXPECT_THAT(explain_huge_pages(ENOSYS, 2 * kGiB, kGiB, directory).advice,
              HasSubstr("--memory-from memfd"));
}

}  // namespace
}  // namespace passthru
