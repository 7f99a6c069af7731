// SPDX-License-Identifier: MIT
#include "mmap/config_bits.h"

#include <gtest/gtest.h>

#include "tests/unit/pci/config_image.h"

namespace passthru {
namespace {

class ConfigBitsTest : public testing::Test {
 protected:
  ConfigBitsTest() {
    for (uint32_t at = 0; at < 256; ++at) image->put8(at, static_cast<uint8_t>(at));
    for (uint32_t at = 0; at < 256; at += 4) bits.pass(at, 4, UINT32_MAX);
  }
  std::shared_ptr<ConfigImage> image = std::make_shared<ConfigImage>();
  ConfigBits bits{image, 256};
};

TEST_F(ConfigBitsTest, AnyWidthAtAnyOffsetReadsTheSameBytes) {
  bits.emulate(0x42, 1, 0xff, 0xaa);
  bits.emulate(0x45, 1, 0xf0, 0xb0);
  const auto byte = [](uint32_t at) -> uint32_t {
    if (at >= 256) return 0xff;
    return at == 0x42 ? 0xaa : at == 0x45 ? 0xb5 : at;
  };
  for (const unsigned width : {1U, 2U, 3U, 4U}) {
    for (uint32_t offset = 0; offset < 260; ++offset) {
      uint32_t expected = 0;
      for (unsigned i = 0; i < width; ++i) expected |= byte(offset + i) << (8 * i);
      ASSERT_EQ(bits.read(offset, width), expected) << offset << " " << width;
    }
  }
}

TEST_F(ConfigBitsTest, WhatIsBeyondTheDeviceReadsOnesAndDropsWrites) {
  EXPECT_EQ(bits.read(256, 4), UINT32_MAX);
  EXPECT_EQ(bits.read(4092, 4), UINT32_MAX);
  EXPECT_EQ(bits.read(4096, 4), UINT32_MAX);
  EXPECT_EQ(bits.read(UINT32_MAX - 1, 4), UINT32_MAX);
  for (const uint32_t offset : {255U, 256U, 4094U, 4096U, UINT32_MAX - 1}) {
    const ConfigBits::Undo before = bits.write(offset, 4, 0);
    bits.undo(before);
  }
  EXPECT_EQ(image->writes, "255+1 ");
  EXPECT_EQ(bits.read(256, 4), UINT32_MAX);
}

TEST_F(ConfigBitsTest, AVirtualRegisterNeverReachesTheDevice) {
  bits.emulate(0x40, 4, UINT32_MAX, 0x11223344, 0x00ff00ff);
  const unsigned reads = image->reads;
  bits.write(0x40, 4, UINT32_MAX);
  EXPECT_EQ(bits.read(0x40, 4), 0x11ff33ffU);
  EXPECT_EQ(image->writes, "");
  EXPECT_EQ(image->reads, reads);
}

TEST_F(ConfigBitsTest, TheDeviceGetsWritesAsWideAsTheyAre) {
  bits.write(0x40, 4, 0x01020304);
  bits.write(0x46, 2, 0x0506);
  bits.write(0x49, 1, 0x07);
  EXPECT_EQ(image->writes, "64+4 70+2 73+1 ");
  EXPECT_EQ(image->get16(0x46), 0x0506);
}

TEST_F(ConfigBitsTest, AWriteAcrossADwordIsSplitIntoAlignedOnes) {
  bits.write(0x43, 4, 0x44332211);
  EXPECT_EQ(image->writes, "67+1 68+2 70+1 ");
  EXPECT_EQ(bits.read(0x43, 4), 0x44332211U);
}

TEST_F(ConfigBitsTest, OfAMixedWriteTheDeviceGetsItsBytesOnly) {
  bits.emulate(0x41, 1, 0xff, 0, 0xff);
  bits.pass_reads(0x43, 1, 0xff);
  bits.write(0x40, 4, 0xddccbbaa);
  EXPECT_EQ(image->writes, "64+1 66+1 ");
  EXPECT_EQ(bits.read(0x40, 4), 0x43ccbbaaU);
}

TEST_F(ConfigBitsTest, BitsThatAreNotTheGuestsAreHeldInTheDevice) {
  bits.emulate(0x40, 2, 0x0003, 0, 0x0003);
  bits.hold(0x40, 2, 0x0003, 0x0002);
  bits.write(0x40, 2, 0xfff1);
  EXPECT_EQ(image->get16(0x40), 0xfff2);
  EXPECT_EQ(bits.read(0x40, 2), 0xfff1U);
}

TEST_F(ConfigBitsTest, UndoPutsTheVirtualBitsBack) {
  bits.emulate(0x40, 4, UINT32_MAX, 0x10, UINT32_MAX);
  bits.emulate(0x44, 4, UINT32_MAX, 0x20, UINT32_MAX);
  const auto before = bits.write(0x42, 4, UINT32_MAX);
  EXPECT_EQ(bits.read(0x44, 4), 0x0000ffffU);
  bits.undo(before);
  EXPECT_EQ(bits.read(0x40, 4), 0x10U);
  EXPECT_EQ(bits.read(0x44, 4), 0x20U);
}

TEST_F(ConfigBitsTest, ResetRestoresWhatWasDescribed) {
  bits.emulate(0x40, 4, UINT32_MAX, 0x10, UINT32_MAX);
  bits.write(0x40, 4, 0x99);
  bits.reset();
  EXPECT_EQ(bits.read(0x40, 4), 0x10U);
}

TEST_F(ConfigBitsTest, ADeviceThatDoesNotAnswerReadsOnesInItsOwnBits) {
  bits.emulate(0x40, 4, 0x0000ffff, 0x1234, 0x0000ffff);
  image->broken = true;
  EXPECT_EQ(bits.read(0x40, 4), 0xffff1234U);
  bits.write(0x40, 4, 0);
  EXPECT_EQ(bits.failed_accesses(), 2U);
  EXPECT_EQ(bits.value(0x40, 2), 0U);
}

TEST_F(ConfigBitsTest, SavedBitsAreLoadedWhereTheGuestCouldHaveWrittenThem) {
  bits.emulate(0x40, 4, UINT32_MAX, 0x11223344, 0x00ff00ff);
  bits.write(0x40, 4, UINT32_MAX);
  const ConfigBits::Bytes saved = bits.values();
  bits.reset();
  const unsigned reads = image->reads;
  image->writes.clear();
  bits.load(saved);
  EXPECT_EQ(bits.read(0x40, 4), 0x11ff33ffU);
  ConfigBits::Bytes forged;
  forged.fill(0);
  bits.load(forged);
  EXPECT_EQ(bits.read(0x40, 4), 0x11003300U) << "the guest's bits only";
  EXPECT_EQ(bits.read(256, 4), UINT32_MAX) << "beyond the device";
  EXPECT_EQ(image->writes, "");
  EXPECT_EQ(image->reads, reads);
}

}  // namespace
}  // namespace passthru
