// SPDX-License-Identifier: MIT
// Tests of parsing a region's capabilities. A malformed answer is refused without a read beyond it.
#include "vfio/region_caps.h"

#include <gtest/gtest.h>
#include <linux/vfio.h>

#include <cstring>

namespace passthru {
namespace {

constexpr uint32_t kFirst = sizeof(vfio_region_info);
constexpr uint64_t kRegion = 0x10000;

/// A hand-written answer of VFIO_DEVICE_GET_REGION_INFO.
class Answer {
 public:
  Answer() : bytes_(kFirst) {}
  Answer& u16(uint16_t value) { return put(value); }
  Answer& u32(uint32_t value) { return put(value); }
  Answer& u64(uint64_t value) { return put(value); }
  Answer& header(uint16_t id, uint32_t next) { return u16(id).u16(1).u32(next); }
  Answer& sparse(uint32_t next, std::initializer_list<MapArea> areas) {
    header(VFIO_REGION_INFO_CAP_SPARSE_MMAP, next).u32(static_cast<uint32_t>(areas.size())).u32(0);
    for (const MapArea& area : areas) u64(area.offset).u64(area.size);
    return *this;
  }
  [[nodiscard]] Result<RegionCaps> parse(uint32_t first = kFirst) const {
    return parse_region_caps(bytes_, first, kRegion);
  }
  [[nodiscard]] const std::vector<std::byte>& bytes() const { return bytes_; }

 private:
  template <class T>
  Answer& put(T value) {
    const auto* from = reinterpret_cast<const std::byte*>(&value);
    bytes_.insert(bytes_.end(), from, from + sizeof value);
    return *this;
  }
  std::vector<std::byte> bytes_;
};

TEST(RegionCaps, AnEmptyChainSaysNothing) {
  const auto caps = Answer().parse(0);
  ASSERT_TRUE(caps);
  EXPECT_FALSE(caps->msix_mappable);
  EXPECT_FALSE(caps->sparse);
}

TEST(RegionCaps, ReadsWhatItKnowsAndPassesOverTheRest) {
  Answer answer;
  answer.header(VFIO_REGION_INFO_CAP_TYPE, kFirst + 16).u64(0);
  answer.sparse(kFirst + 64, {{0, 0x1000}, {0x3000, 0xd000}});
  answer.header(VFIO_REGION_INFO_CAP_MSIX_MAPPABLE, 0);
  const auto caps = answer.parse();
  ASSERT_TRUE(caps) << caps.error().message();
  EXPECT_TRUE(caps->msix_mappable);
  EXPECT_EQ(*caps->sparse, (std::vector<MapArea>{{0, 0x1000}, {0x3000, 0xd000}}));
}

TEST(RegionCaps, TheChainMayRunBackwards) {
  Answer answer;
  answer.header(VFIO_REGION_INFO_CAP_MSIX_MAPPABLE, 0).header(VFIO_REGION_INFO_CAP_TYPE, kFirst);
  const auto caps = answer.parse(kFirst + 8);
  ASSERT_TRUE(caps);
  EXPECT_TRUE(caps->msix_mappable);
}

TEST(RegionCaps, SparseWithoutAreasMapsNothing) {
  const auto caps = Answer().sparse(0, {{0x1000, 0}}).parse();
  ASSERT_TRUE(caps);
  ASSERT_TRUE(caps->sparse);
  EXPECT_TRUE(caps->sparse->empty());
}

TEST(RegionCaps, RefusesWhatIsMalformed) {
  const struct {
    const char* what;
    Answer answer;
    uint32_t first;
  } cases[] = {
      {"chain within the struct", Answer().header(VFIO_REGION_INFO_CAP_TYPE, 0), 8},
      {"sparse without a count", Answer().header(VFIO_REGION_INFO_CAP_SPARSE_MMAP, 0), kFirst},
      {"sparse with more areas than bytes",
       Answer()
           .header(VFIO_REGION_INFO_CAP_SPARSE_MMAP, 0)
           .u32(0xffffffff)
           .u32(0)
           .u64(0)
           .u64(0x1000),
       kFirst},
      {"area cut short", Answer().header(VFIO_REGION_INFO_CAP_SPARSE_MMAP, 0).u32(1).u32(0).u64(0),
       kFirst},
      {"area beyond the region", Answer().sparse(0, {{0xf000, 0x2000}}), kFirst},
      {"area starts beyond the region", Answer().sparse(0, {{kRegion + 1, 0}}), kFirst},
      {"area wraps", Answer().sparse(0, {{0x1000, UINT64_MAX}}), kFirst},
  };
  for (const auto& each : cases) {
    const auto caps = each.answer.parse(each.first);
    ASSERT_FALSE(caps) << each.what;
    EXPECT_EQ(caps.error().code, EBADMSG) << each.what;
    EXPECT_EQ(caps.error().operation, "VFIO_DEVICE_GET_REGION_INFO");
    EXPECT_FALSE(caps.error().cause.empty());
  }
}

TEST(RegionCaps, EveryTruncationOfAGoodAnswerIsHandled) {
  Answer answer;
  answer.sparse(kFirst + 32, {{0, 0x1000}}).header(VFIO_REGION_INFO_CAP_MSIX_MAPPABLE, 0);
  for (size_t size = 0; size < answer.bytes().size(); ++size) {
    // An allocation of exactly that size, so that a sanitizer detects any read beyond it.
    const std::vector<std::byte> cut(answer.bytes().begin(),
                                     answer.bytes().begin() + static_cast<std::ptrdiff_t>(size));
    EXPECT_FALSE(parse_region_caps(cut, kFirst, kRegion)) << size;
  }
  EXPECT_TRUE(answer.parse());
}

}  // namespace
}  // namespace passthru
