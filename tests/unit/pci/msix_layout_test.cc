// SPDX-License-Identifier: MIT
// Tests of reading a device's capability list, valid or hostile.
#include "pci/msix_layout.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>

#include "pci/capability_list.h"

namespace passthru {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

// 256 bytes of config space; tests write the capability list byte by byte.
class Config {
 public:
  Config() { put16(0x06, 1U << 4); }  // Status: has a capability list

  Config& put8(size_t offset, unsigned value) {
    bytes_.at(offset) = static_cast<std::byte>(value);
    return *this;
  }
  Config& put16(size_t offset, unsigned value) {
    return put8(offset, value & 0xff).put8(offset + 1, value >> 8);
  }
  Config& put32(size_t offset, uint32_t value) {
    return put16(offset, value & 0xffff).put16(offset + 2, value >> 16);
  }
  Config& first(unsigned offset) { return put8(0x34, offset); }
  Config& capability(size_t at, unsigned id, unsigned next) {
    return put8(at, id).put8(at + 1, next);
  }
  Config& msix(size_t at, unsigned control, uint32_t table, uint32_t pba) {
    return capability(at, 0x11, 0).put16(at + 2, control).put32(at + 4, table).put32(at + 8, pba);
  }
  operator std::span<const std::byte>() const { return bytes_; }
  [[nodiscard]] std::span<const std::byte> first_bytes(size_t n) const {
    return std::span<const std::byte>(bytes_).first(n);
  }

 private:
  std::array<std::byte, 256> bytes_{};
};

TEST(MsixLayout, ReadsTheCapabilityBehindOthers) {
  const Config config =
      Config().first(0x40).capability(0x40, 0x01, 0x50).msix(0x50, 64, 0x2000, 0x3000);
  EXPECT_EQ(find_msix(config), (MsixLayout{.vectors = 65,
                                           .table_bar = 0,
                                           .table_offset = 0x2000,
                                           .pba_bar = 0,
                                           .pba_offset = 0x3000,
                                           .capability = 0x50}));
}

TEST(MsixLayout, TheLowBitsOfAnOffsetNameTheBarAndTheControlBitsAreNoVectors) {
  const Config config = Config().first(0x40).msix(0x40, 0xc000 | 4, 0x0 | 3, 0x2000 | 3);
  EXPECT_EQ(find_msix(config)->table_bar, 3U);
  EXPECT_EQ(find_msix(config)->pba_bar, 3U);
  EXPECT_EQ(find_msix(config)->pba_offset, 0x2000U);
  EXPECT_EQ(find_msix(config)->vectors, 5U);
}

TEST(MsixLayout, PendingBitsAreWholeQuadwords) {
  struct Case {
    unsigned vectors;
    uint64_t bytes;
  };
  for (const auto& [vectors, bytes] : {Case{1, 8}, Case{63, 8}, Case{64, 8}, Case{65, 16},
                                       Case{128, 16}, Case{136, 24}, Case{2048, 256}}) {
    EXPECT_EQ(MsixLayout{.vectors = vectors}.pba_size(), bytes) << vectors;
    EXPECT_EQ(MsixLayout{.vectors = vectors}.table_size(), vectors * 16) << vectors;
  }
}

TEST(MsixLayout, IsNothingWhereNoTableCanBe) {
  const Config good = Config().first(0x40).msix(0x40, 0, 0, 0x800);
  ASSERT_TRUE(find_msix(good));
  EXPECT_FALSE(find_msix(Config().first(0x40).capability(0x40, 0x05, 0))) << "another capability";
  EXPECT_FALSE(find_msix(Config().first(0x40).msix(0x40, 0, 6, 0))) << "table in BAR 6";
  EXPECT_FALSE(find_msix(Config().first(0x40).msix(0x40, 0, 0, 7))) << "PBA in BAR 7";
  EXPECT_FALSE(find_msix(Config().first(0xf8).capability(0xf8, 0x11, 0)))
      << "cut off by the end of config space";
  EXPECT_FALSE(find_msix(Config(good).put16(0x06, 0))) << "Status reports no list";
  EXPECT_FALSE(find_msix(good.first_bytes(64))) << "only the bytes of an unprivileged read";
  EXPECT_FALSE(find_msix({})) << "empty config space";
  std::array<std::byte, 256> absent{};
  absent.fill(std::byte{0xff});
  EXPECT_FALSE(find_msix(absent)) << "an absent function";
}

TEST(CapabilityList, AreListedInTheOrderOfTheList) {
  const Config config =
      Config().first(0x80).capability(0x80, 0x10, 0x40).capability(0x40, 0x05, 0x00);
  EXPECT_THAT(listed_capabilities(config),
              ElementsAre(ListedCapability{0x10, 0x80}, ListedCapability{0x05, 0x40}));
}

TEST(CapabilityList, AListThatRunsInACircleEnds) {
  EXPECT_THAT(listed_capabilities(
                  Config().first(0x40).capability(0x40, 0x01, 0x50).capability(0x50, 0x05, 0x40)),
              ElementsAre(ListedCapability{0x01, 0x40}, ListedCapability{0x05, 0x50}));
  EXPECT_THAT(listed_capabilities(Config().first(0x40).capability(0x40, 0x01, 0x40)),
              ElementsAre(ListedCapability{0x01, 0x40}));
}

TEST(CapabilityList, AListThatVisitsEveryPlaceHas48Entries) {
  Config config;
  config.first(0x40);
  for (unsigned at = 0x40; at < 0x100; at += 4) config.capability(at, 0x09, at + 4);
  EXPECT_EQ(listed_capabilities(config).size(), 48U);
}

TEST(CapabilityList, APointerIntoTheHeaderEndsTheListAndReservedPointerBitsAreIgnored) {
  EXPECT_THAT(listed_capabilities(Config().first(0x10)), IsEmpty());
  EXPECT_THAT(listed_capabilities(Config().first(0x43).capability(0x40, 0x05, 0x04)),
              ElementsAre(ListedCapability{0x05, 0x40}));
}

TEST(CapabilityList, ACardBusBridgeKeepsItsListPointerElsewhere) {
  const Config config = Config().put8(0x0e, 0x82).put8(0x14, 0x80).capability(0x80, 0x01, 0);
  EXPECT_THAT(listed_capabilities(config), ElementsAre(ListedCapability{0x01, 0x80}));
}

TEST(ConfigFields, BeyondTheEndAreAllOnes) {
  const Config config = Config().put32(0xfc, 0x12345678);
  EXPECT_EQ(config_u32(config, 0xfc), 0x12345678U);
  EXPECT_EQ(config_u32(config, 0xfe), 0xffff1234U);
  EXPECT_EQ(config_u16(config, 0x100), 0xffffU);
}

TEST(ConfigFields, ABridgeIsKnownByItsHeaderTypeWhateverTheMultifunctionBit) {
  EXPECT_FALSE(is_bridge(Config().put8(0x0e, 0x00)));
  EXPECT_FALSE(is_bridge(Config().put8(0x0e, 0x80)));
  EXPECT_TRUE(is_bridge(Config().put8(0x0e, 0x01)));
  EXPECT_TRUE(is_bridge(Config().put8(0x0e, 0x81)));
  EXPECT_FALSE(is_bridge({})) << "too short to contain the header type";
  EXPECT_FALSE(is_bridge(Config().put8(0x0e, 0xff))) << "an absent function";
}

}  // namespace
}  // namespace passthru
