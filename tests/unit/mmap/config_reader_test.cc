// SPDX-License-Identifier: MIT
// The read of config space when a device is opened, also of a device that is sometimes silent.
#include "mmap/config_reader.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <functional>

#include "pci/capability_list.h"
#include "tests/unit/pci/config_image.h"

namespace passthru {
namespace {

using std::chrono::milliseconds;
using ::testing::HasSubstr;

constexpr uint32_t kStatus = 0x06;
constexpr uint16_t kSilent = 0xffff;
constexpr uint16_t kSilentWithoutList = 0xffef;
constexpr uint32_t kRegister = 0x40;
// The first read covers only Status. A pass reads 64 registers and the headers of two capabilities.
constexpr unsigned kReadsOfAPass = 64 + 2;
constexpr std::array<unsigned, 2> kFirstReads{2, 2 + kReadsOfAPass};

/// Registers that may be silent, selected by the number of the read.
class SilentImage : public ConfigImage {
 public:
  using ConfigImage::ConfigImage;
  Result<void> read(uint32_t offset, std::span<std::byte> data) override {
    PASSTHRU_TRY(ConfigImage::read(offset, data));
    if (is_silent(reads)) std::fill(data.begin(), data.end(), std::byte{0xff});
    return {};
  }
  std::function<bool(unsigned)> is_silent = [](unsigned) { return false; };
};

class ConfigReaderTest : public testing::Test {
 protected:
  ConfigReaderTest() {
    image.put16(0x00, 0x1b36);
    image.put16(kStatus, 0x0010);
    image.put32(kRegister, 0x12345678);
    image.put32(0x100, 0x1a010001);
    image.put32(0x1a0, 0x10010003);  // back to the first
    image.put32(0x1a4, 0x12345678);
  }
  Result<std::vector<std::byte>> read(milliseconds response_timeout) {
    return read_config(image, 4096, response_timeout, "0000:01:00.0");
  }
  SilentImage image{4096};
};

TEST(IsAnswer, IsNoStatusInWhichTheDevicesBitsAreAllOnes) {
  EXPECT_FALSE(is_answer(kSilent));
  EXPECT_FALSE(is_answer(kSilentWithoutList)) << "the kernel reports no list";
  EXPECT_TRUE(is_answer(0x0010));
  EXPECT_TRUE(is_answer(0x0000));
  EXPECT_TRUE(is_answer(0xf9ef)) << "all errors that a device can show";
}

TEST_F(ConfigReaderTest, OfTheExtendedPartTheHeadersAreRead) {
  const auto config = read({});
  ASSERT_TRUE(config);
  EXPECT_EQ(config_u32(*config, 0x1a0), 0x10010003U);
  EXPECT_EQ(config_u32(*config, 0x1a4), 0U);
  EXPECT_EQ(image.reads, 1 + 2 * kReadsOfAPass) << "a list that loops is walked once";
}

TEST_F(ConfigReaderTest, ADeviceThatAnswersInTimeIsWaitedFor) {
  image.is_silent = [](unsigned read) { return read <= 4; };
  ASSERT_FALSE(read(milliseconds(30))) << "it was read four times";
  image.reads = 0;
  EXPECT_TRUE(read(milliseconds(40)));
}

TEST_F(ConfigReaderTest, WhatOnePassMissesTheOtherHas) {
  for (const unsigned first : kFirstReads) {
    image.reads = 0;
    image.is_silent = [&](unsigned read) { return read == first + kRegister / 4; };
    const auto config = read({});
    ASSERT_TRUE(config);
    EXPECT_EQ(config_u32(*config, kRegister), 0x12345678U) << first;
  }
}

TEST_F(ConfigReaderTest, AStatusThatIsSilentInOnePassIsNoAnswer) {
  for (const unsigned first : kFirstReads) {
    image.reads = 0;
    image.is_silent = [&](unsigned read) { return read == first + kStatus / 4; };
    EXPECT_FALSE(read({})) << first;
  }
}

TEST_F(ConfigReaderTest, ADeviceThatFallsSilentAgainAndAgainIsRefused) {
  image.is_silent = [](unsigned read) { return read % 3 != 1; };
  const auto refused = read(milliseconds(30));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, EIO);
  EXPECT_THAT(
      refused.error().message(),
      HasSubstr("0000:01:00.0: cannot open the device: its config space reads as all ones"));
}

TEST_F(ConfigReaderTest, ADeviceWhoseIdsTheKernelDoesNotKnowIsRefused) {
  image.put16(0x00, 0xffff);
  EXPECT_EQ(read({}).error().code, EIO);
}

TEST_F(ConfigReaderTest, AReadThatTheKernelRefusesIsNotTriedAgain) {
  image.broken = true;
  const auto refused = read(milliseconds(1000));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().operation, "pread");
}

}  // namespace
}  // namespace passthru
