// SPDX-License-Identifier: MIT
// The ranges of IOVAs in a container's answer, damaged answers, and ranges that two lists share.
#include "vfio/iova_ranges.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <linux/vfio.h>

#include <cstring>
#include <functional>
#include <optional>

namespace passthru {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

using Ranges = std::vector<IovaRange>;

constexpr uint32_t kFirstIommuCap = sizeof(vfio_iommu_type1_info);

/// An answer with another capability and then the ranges.
std::vector<std::byte> answer_with(const Ranges& ranges) {
  constexpr uint32_t kAvailSize = sizeof(vfio_iommu_type1_info_dma_avail);
  constexpr uint32_t kPadded = (kAvailSize + 7) / 8 * 8;
  std::vector<std::byte> answer(kFirstIommuCap + kPadded +
                                sizeof(vfio_iommu_type1_info_cap_iova_range) +
                                ranges.size() * sizeof(vfio_iova_range));
  const vfio_info_cap_header other{VFIO_IOMMU_TYPE1_INFO_DMA_AVAIL, 1, kFirstIommuCap + kPadded};
  std::memcpy(&answer[kFirstIommuCap], &other, sizeof other);
  vfio_iommu_type1_info_cap_iova_range cap{};
  cap.header = {VFIO_IOMMU_TYPE1_INFO_CAP_IOVA_RANGE, 1, 0};
  cap.nr_iovas = static_cast<uint32_t>(ranges.size());
  std::memcpy(&answer[kFirstIommuCap + kPadded], &cap, sizeof cap);
  if (!ranges.empty()) {
    std::memcpy(&answer[kFirstIommuCap + kPadded + sizeof cap], ranges.data(),
                ranges.size() * sizeof(IovaRange));
  }
  return answer;
}

TEST(IovaRanges, AreFoundBehindOtherCapabilities) {
  const Ranges ranges{{0, 0xfedf'ffff}, {0xfef0'0000, UINT64_MAX}};
  const auto parsed = parse_iova_ranges(answer_with(ranges), kFirstIommuCap);
  ASSERT_TRUE(parsed) << parsed.error().message();
  EXPECT_EQ(*parsed, ranges);
}

TEST(IovaRanges, AnAnswerWithoutRangesSaysSo) {
  EXPECT_EQ(parse_iova_ranges(answer_with({}), 0).error().code, ENOTSUP);
  EXPECT_THAT(*parse_iova_ranges(answer_with({}), kFirstIommuCap), IsEmpty());
}

TEST(IovaRanges, ADamagedAnswerIsRefusedAtEveryLength) {
  const std::vector<std::byte> whole = answer_with({{0, 0xfff}, {0x2000, 0x2fff}});
  for (size_t size = 0; size < whole.size(); ++size) {
    const auto parsed = parse_iova_ranges(std::span(whole).first(size), kFirstIommuCap);
    ASSERT_FALSE(parsed) << size;
    EXPECT_EQ(parsed.error().code, EBADMSG) << size;
  }
}

TEST(IovaRanges, AnAnswerThatContradictsItselfIsRefused) {
  const Ranges good{{0, 0xfff}, {0x2000, 0x2fff}};
  const struct {
    const char* what;
    std::function<std::vector<std::byte>()> answer;
    uint32_t first;
  } bad[] = {
      {"first capability within the header", [&] { return answer_with(good); }, kFirstIommuCap - 4},
      {"last before first",
       [] {
         return answer_with({{0x2000, 0x1fff}});
       },
       kFirstIommuCap},
      {"descending",
       [] {
         return answer_with({{0x2000, 0x2fff}, {0, 0xfff}});
       },
       kFirstIommuCap},
      {"overlapping",
       [] {
         return answer_with({{0, 0x2fff}, {0x2000, 0x3fff}});
       },
       kFirstIommuCap},
      {"after the last address",
       [] {
         return answer_with({{0, UINT64_MAX}, {0, 1}});
       },
       kFirstIommuCap},
  };
  for (const auto& each : bad) {
    const auto parsed = parse_iova_ranges(each.answer(), each.first);
    ASSERT_FALSE(parsed) << each.what;
    EXPECT_EQ(parsed.error().code, EBADMSG) << each.what;
  }
}

TEST(IovaRanges, TheGapThatMemoryMeetsIsFound) {
  const Ranges usable = {{0x1000, 0x1fff}, {0x4000, 0x7fff}, {0x8000, 0x8fff}};
  const struct {
    IovaRange wanted;
    std::optional<IovaRange> gap;
  } cases[] = {
      {{0x1000, 0x1fff}, std::nullopt},
      {{0x5000, 0x5fff}, std::nullopt},
      {{0x7000, 0x8fff}, std::nullopt},  // two ranges without a gap between them
      {{0, 0xfff}, IovaRange{0, 0xfff}},
      {{0, 0x4fff}, IovaRange{0, 0xfff}},
      {{0x1000, 0x2fff}, IovaRange{0x2000, 0x3fff}},
      {{0x2000, 0x2fff}, IovaRange{0x2000, 0x3fff}},
      {{0x3000, 0x4fff}, IovaRange{0x2000, 0x3fff}},
      {{0x8000, 0x9fff}, IovaRange{0x9000, UINT64_MAX}},
      {{0xa000, 0xafff}, IovaRange{0x9000, UINT64_MAX}},
  };
  for (const auto& each : cases) {
    EXPECT_EQ(gap_met(usable, each.wanted), each.gap) << std::hex << each.wanted.first;
  }
  EXPECT_EQ(gap_met(Ranges{{0, UINT64_MAX}}, {0, UINT64_MAX}), std::nullopt);
}

TEST(IovaRanges, TheIntersectionHasTheAddressesOfBoth) {
  const struct {
    Ranges a;
    Ranges b;
    Ranges both;
  } cases[] = {
      {{}, {}, {}},
      {{{0, UINT64_MAX}}, {}, {}},
      {{{0, UINT64_MAX}}, {{0, UINT64_MAX}}, {{0, UINT64_MAX}}},
      {{{0, UINT64_MAX}}, {{1, 2}, {4, 8}}, {{1, 2}, {4, 8}}},
      {{{0, 4}}, {{4, 8}}, {{4, 4}}},
      {{{0, 3}}, {{4, 8}}, {}},
      {{{0, 9}, {20, 29}}, {{5, 24}}, {{5, 9}, {20, 24}}},
      {{{0, 9}, {20, 29}}, {{9, 9}, {10, 19}, {29, 40}}, {{9, 9}, {29, 29}}},
  };
  for (const auto& each : cases) {
    EXPECT_EQ(intersection(each.a, each.b), each.both);
    EXPECT_EQ(intersection(each.b, each.a), each.both);
  }
}

}  // namespace
}  // namespace passthru
