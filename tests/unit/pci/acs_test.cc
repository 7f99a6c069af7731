// SPDX-License-Identifier: MIT
#include "pci/acs.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/pci/config_image.h"

namespace passthru {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

/// Returns config space with the error reporting capability first, then ACS at `at`.
ConfigImage with_acs(uint32_t at) {
  ConfigImage image(4096);
  image.put32(0x100, at << 20 | 0x10001);
  image.put32(at, 0x1000d);
  image.put16(at + 4, 0x1f);
  image.put16(at + 6, 0x1d);
  return image;
}

TEST(AcsTest, IsFoundInTheExtendedList) {
  EXPECT_EQ(find_acs(with_acs(0x148).bytes), (Acs{.capability = 0x1f, .control = 0x1d}));
  EXPECT_EQ(find_acs(with_acs(0xff8).bytes), (Acs{.capability = 0x1f, .control = 0x1d}));
}

TEST(AcsTest, OneThatEndsBeyondTheSpaceIsNone) {
  ConfigImage image(4096);
  image.put32(0x100, 0xffc10001);
  image.put32(0xffc, 0x1000d);
  EXPECT_EQ(find_acs(image.bytes), std::nullopt);
}

TEST(AcsTest, WithoutAnExtendedPartThereIsNone) {
  auto bytes = with_acs(0x148).bytes;
  for (const size_t size : {0U, 64U, 255U, 256U, 259U}) {
    bytes.resize(size);
    EXPECT_EQ(find_acs(bytes), std::nullopt) << size;
    EXPECT_EQ(shows_extended_config(bytes), size >= 256) << size;
  }
}

TEST(AcsTest, AListThatLoopsEnds) {
  ConfigImage image(4096);
  image.put32(0x100, 0x14010001);
  image.put32(0x140, 0x10010003);
  EXPECT_EQ(find_acs(image.bytes), std::nullopt);
}

TEST(AcsTest, BitsHaveWords) {
  EXPECT_THAT(acs_words(0x7f),
              ElementsAre("source validation", "translation blocking", "request redirect",
                          "completion redirect", "upstream forwarding", "egress control",
                          "direct translated"));
  EXPECT_THAT(acs_words(0x14), ElementsAre("request redirect", "upstream forwarding"));
  EXPECT_THAT(acs_words(0xff80), IsEmpty());
}

}  // namespace
}  // namespace passthru
