// SPDX-License-Identifier: MIT
#include "mmap/capabilities.h"

#include <gtest/gtest.h>

#include <set>
#include <string>

#include "tests/unit/pci/config_image.h"

namespace passthru {
namespace {

using enum CapabilityPolicy;

/// An image whose capability list begins at 0x40, or is empty.
ConfigImage image_with_list(uint32_t size = 256) {
  ConfigImage image(size);
  image.put16(0x06, 0x0010);
  image.put8(0x34, 0x40);
  return image;
}

TEST(Capabilities, AreFoundWithTheirSizes) {
  ConfigImage image = image_with_list();
  image.put_capability(0x40, 0x01, 0x50);
  image.put_capability(0x50, 0x05, 0x70);
  image.put16(0x52, 0x0180);  // MSI: 64-bit, maskable
  image.put_capability(0x70, 0x11, 0x80);
  image.put_capability(0x80, 0x09, 0x00);
  image.put8(0x82, 0x14);
  const auto found = find_capabilities(image.bytes);
  ASSERT_EQ(found.size(), 4U);
  EXPECT_EQ(found[0].size, 8);
  EXPECT_EQ(found[1].size, 24);
  EXPECT_EQ(found[2].size, 12);
  EXPECT_EQ(found[3].size, 0x14);
  for (const Capability& capability : found) EXPECT_FALSE(capability.cut) << capability.name;
}

TEST(Capabilities, OneThatReachesIntoTheNextOrOutOfTheSpaceIsCut) {
  ConfigImage image = image_with_list();
  image.put_capability(0x40, 0x11, 0x44);
  image.put_capability(0x44, 0x01, 0xfc);
  image.put_capability(0xfc, 0x11, 0x00);
  const auto found = find_capabilities(image.bytes);
  ASSERT_EQ(found.size(), 3U);
  EXPECT_TRUE(found[0].cut);
  EXPECT_EQ(found[0].size, 4);
  EXPECT_FALSE(found[1].cut);
  EXPECT_TRUE(found[2].cut);
  EXPECT_EQ(found[2].size, 4);
}

struct Hostile {
  std::string name;
  uint32_t at;
  uint32_t header;
  size_t found;
};

class HostileExtendedList : public testing::TestWithParam<Hostile> {};

TEST_P(HostileExtendedList, EndsWhereItStopsMakingSense) {
  ConfigImage image(4096);
  image.put32(0x100, 0x14010001);  // AER, next at 0x140
  image.put32(GetParam().at, GetParam().header);
  EXPECT_EQ(find_capabilities(image.bytes).size(), GetParam().found);
}

INSTANTIATE_TEST_SUITE_P(Capabilities, HostileExtendedList,
                         testing::Values(Hostile{"LoopToItself", 0x140, 0x14010003, 2},
                                         Hostile{"LoopToTheHead", 0x140, 0x10010003, 2},
                                         Hostile{"IntoTheFirstSpace", 0x140, 0x04010003, 2},
                                         Hostile{"AtTheEnd", 0x140, 0xffc10003, 2},
                                         Hostile{"NotThere", 0x140, 0xffffffff, 1},
                                         Hostile{"Empty", 0x140, 0, 1},
                                         Hostile{"NoneAtAll", 0x100, 0, 0},
                                         Hostile{"AbsentAltogether", 0x100, 0xffffffff, 0}),
                         [](const auto& test) { return test.param.name; });

TEST(Capabilities, AListOfEverySlotEnds) {
  ConfigImage image(4096);
  for (uint32_t at = 0x100; at < 4096; at += 4) image.put32(at, (at + 4) % 4096 << 20 | 0x10003);
  EXPECT_EQ(find_capabilities(image.bytes).size(), (4096U - 256U) / 4U);
}

TEST(Capabilities, TheGuestSeesWhatThePolicySays) {
  struct Expected {
    bool extended;
    uint16_t id;
    CapabilityPolicy policy;
  };
  for (const Expected& expected : std::vector<Expected>{
           {false, 0x01, Virtualise}, {false, 0x03, Pass},       {false, 0x05, Virtualise},
           {false, 0x09, Pass},       {false, 0x10, Virtualise}, {false, 0x11, Virtualise},
           {false, 0x13, Virtualise}, {false, 0x14, Hide},       {false, 0xee, Hide},
           {true, 0x01, Pass},        {true, 0x03, Pass},        {true, 0x0b, Pass},
           {true, 0x0d, Hide},        {true, 0x0e, Hide},        {true, 0x0f, Hide},
           {true, 0x10, Hide},        {true, 0x13, Hide},        {true, 0x15, Hide},
           {true, 0x1b, Hide},        {true, 0x1e, Hide},        {true, 0xeeee, Hide}}) {
    const CapabilityRule& rule =
        expected.extended ? extended_capability_rule(expected.id) : capability_rule(expected.id);
    EXPECT_EQ(rule.policy, expected.policy) << rule.name;
    EXPECT_STRNE(rule.reason, "") << rule.name;
  }
}

}  // namespace
}  // namespace passthru
