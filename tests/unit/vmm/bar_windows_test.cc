// SPDX-License-Identifier: MIT
// Tests of the windows for memory BARs: where they are, how they grow, and what is refused.
#include "vmm/bar_windows.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cerrno>
#include <string>
#include <vector>

namespace passthru {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr uint64_t kTiB = 1024 * kGiB;

GuestBar bar(uint8_t slot, unsigned index, uint64_t size, bool is_64bit) {
  return {.device = {.device = slot}, .index = index, .size = size, .is_64bit = is_64bit};
}

/// Returns a 64-bit BAR 0 of each of some devices.
std::vector<GuestBar> large_bars(unsigned count, uint64_t size) {
  std::vector<GuestBar> bars;
  for (unsigned i = 0; i < count; ++i)
    bars.push_back(bar(static_cast<uint8_t>(2 + i), 0, size, true));
  return bars;
}

TEST(BarWindows, Case3ChosenWindowsHoldAllBars) {
  constexpr BarWindows kDefault;
  const RamLayout small = RamLayout::of(512 * kMiB), full = RamLayout::of(8 * kGiB);
  const struct {
    const char* what;
    std::vector<GuestBar> bars;
    AddressLimits limits;
    BarWindows windows;
  } cases[] = {
      {"no device", {}, {.ram = small}, kDefault},
      {"a device of 1 GiB",
       {bar(2, 0, kMiB, false), bar(2, 1, kGiB, true)},
       {.ram = full, .physical_bits = 46},
       kDefault},
      {"half a gigabyte in 32 bits, beside another BAR",
       {bar(2, 0, 512 * kMiB, false), bar(2, 2, 4 * 1024, false)},
       {.ram = full},
       kDefault},
      {"one BAR of 256 GiB", large_bars(1, 256 * kGiB), {.ram = full}, kDefault},
      {"four BARs of 256 GiB",
       large_bars(4, 256 * kGiB),
       {.ram = full, .physical_bits = 46},
       {.high = {256 * kGiB, 2 * kTiB}}},
      {"three BARs of 128 GiB",
       large_bars(3, 128 * kGiB),
       {.ram = full, .physical_bits = 46},
       {.high = {256 * kGiB, kTiB}}},
      {"RAM above 256 GiB",
       large_bars(1, kGiB),
       {.ram = RamLayout::of(400 * kGiB), .physical_bits = 46},
       {.high = {401 * kGiB, 512 * kGiB}}},
      {"a CPU of 36 bits",
       large_bars(1, kGiB),
       {.ram = full, .physical_bits = 36},
       {.high = {9 * kGiB, 64 * kGiB}}},
      {"an IOMMU of 39 bits, and a window that begins below the default",
       large_bars(3, 128 * kGiB),
       {.ram = full, .physical_bits = 46, .reachable = {{0, 512 * kGiB - 1}}},
       {.high = {9 * kGiB, 512 * kGiB}}},
      {"a reserved range behind which there is more room",
       large_bars(2, 512 * kGiB),
       {.ram = full,
        .physical_bits = 42,
        .reachable = {{0, 1012 * kGiB - 1}, {kTiB, 4 * kTiB - 1}}},
       {.high = {kTiB, 2 * kTiB}}},
      {"32-bit BARs of 2 GiB beside little RAM",
       {bar(2, 0, kGiB, false), bar(3, 0, 512 * kMiB, false)},
       {.ram = small},
       {.low = {2 * kGiB, kEcam}}},
  };
  for (const auto& each : cases) {
    const auto windows = choose_windows(each.bars, each.limits);
    ASSERT_TRUE(windows) << each.what << ": " << windows.error().message();
    EXPECT_EQ(windows->low, each.windows.low) << each.what;
    EXPECT_EQ(windows->high, each.windows.high)
        << each.what << std::hex << ' ' << windows->high.begin << ' ' << windows->high.end;
    EXPECT_THAT(bars_without_place(each.bars, *windows), IsEmpty()) << each.what;
  }
}

TEST(BarWindows, Case3BarsThatDoNotFitAreNamedWithTheirSumAndTheWindow) {
  const struct {
    std::vector<GuestBar> bars;
    AddressLimits limits;
    std::vector<std::string> says;
  } cases[] = {
      {large_bars(2, 256 * kGiB),
       {.ram = RamLayout::of(8 * kGiB), .physical_bits = 39},
       {"0000:00:02.0 BAR 0 (256 GiB), 0000:00:03.0 BAR 0 (256 GiB) need 512 GiB",
        "to 0x7fffffffff has", "CPUs have 39 address bits"}},
      {large_bars(2, 256 * kGiB),
       {.ram = RamLayout::of(8 * kGiB), .physical_bits = 46, .reachable = {{0, 512 * kGiB - 1}}},
       {"need 512 GiB", "do not reach the addresses behind it"}},
      {large_bars(1, 8 * kGiB),
       {.ram = RamLayout::of(63 * kGiB), .physical_bits = 36},
       {"need 8 GiB",
        "has 0 bytes. The guest's CPUs have 36 address bits. Give the guest less "
        "memory, or assign fewer devices"}},
      {large_bars(1, 8 * kGiB),
       {.ram = RamLayout::of(63 * kGiB), .physical_bits = 36, .reachable = {{0, 64 * kGiB - 1}}},
       {"CPUs have 36 address bits. Give the guest less memory"}},
      {{bar(2, 0, kGiB, false), bar(2, 2, 4096, false)},
       {.ram = RamLayout::of(8 * kGiB)},
       {"0000:00:02.0 BAR 0 (1 GiB), 0000:00:02.0 BAR 2 (4 KiB) need 1048580 KiB",
        "from 0xc0000000 to 0xfeafffff has 1003 MiB", "--memory 1G"}},
      {{bar(2, 0, 2 * kGiB, false)},
       {.ram = RamLayout::of(512 * kMiB)},
       {"BAR 0 (2 GiB) need 2 GiB", "Assign fewer devices"}},
  };
  for (const auto& each : cases) {
    const auto refused = choose_windows(each.bars, each.limits);
    ASSERT_FALSE(refused) << each.says.front();
    EXPECT_EQ(refused.error().code, ENOSPC);
    for (const std::string& words : each.says) {
      EXPECT_THAT(refused.error().message(), HasSubstr(words));
    }
  }
}

TEST(BarWindows, Case3LinuxPlacesTheLargestFirstAndFillsGaps) {
  constexpr BarWindows kTight{.low = {0xC0001000, 0xC0008000}, .high = {4 * kGiB, 5 * kGiB}};
  // From 0xC0001000 on: 16 KiB at 0xC0004000, 8 KiB at 0xC0002000, 4 KiB at 0xC0001000.
  const std::vector<GuestBar> filling = {bar(2, 0, 4096, false), bar(3, 0, 8192, false),
                                         bar(4, 0, 16384, false)};
  EXPECT_THAT(bars_without_place(filling, kTight), IsEmpty());
  std::vector<GuestBar> more = filling;
  more.push_back(bar(5, 0, 16, false));
  EXPECT_THAT(bars_without_place(more, kTight), ElementsAre(bar(5, 0, 16, false)));
}

TEST(BarWindows, Case3ASixtyFourBitBarMayGoBelowFourGigabytes) {
  constexpr BarWindows kNoHigh{.high = {}};
  EXPECT_THAT(bars_without_place({bar(2, 0, kMiB, true)}, kNoHigh), IsEmpty());
  const auto narrow = bar(2, 0, kMiB, false);
  constexpr BarWindows kNoLow{.low = {}, .high = {4 * kGiB, 8 * kGiB}};
  EXPECT_THAT(bars_without_place({narrow}, kNoLow), ElementsAre(narrow));
}

TEST(BarWindows, Case3ARomWithoutPlaceIsNoError) {
  const std::vector<GuestBar> bars = {bar(2, 0, 512 * kMiB, false), bar(2, 6, 512 * kMiB, false)};
  EXPECT_TRUE(choose_windows(bars, {.ram = RamLayout::of(8 * kGiB)}));
}

TEST(RamLayout, Case3RamBeyondTheCpusIsRefusedWithTheLimit) {
  EXPECT_TRUE(check_reach(RamLayout::of(600 * kGiB), 40));
  EXPECT_TRUE(check_reach(RamLayout::of(63 * kGiB), 36));
  const auto refused = check_reach(RamLayout::of(64 * kGiB), 36);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, EINVAL);
  EXPECT_THAT(refused.error().message(), HasSubstr("36 address bits"));
  EXPECT_THAT(refused.error().message(), HasSubstr("--memory 64512M"));
}

}  // namespace
}  // namespace passthru
