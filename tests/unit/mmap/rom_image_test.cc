// SPDX-License-Identifier: MIT
#include "mmap/rom_image.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <filesystem>
#include <string>

#include "tests/unit/mmap/rom_file.h"

namespace passthru {
namespace {

using ::testing::HasSubstr;

std::string read(RomImage& rom, uint64_t offset, size_t width) {
  std::string bytes(width, '\0');
  rom.read(offset, std::as_writable_bytes(std::span(bytes)));
  return bytes;
}

TEST(RomImage, AnswersTheFileAndBehindItAllOnes) {
  const RomFile file("\x55\xaa rom");
  const auto rom = *RomImage::load(file.path());
  EXPECT_EQ(rom->size(), 6U);
  EXPECT_EQ(read(*rom, 0, 4), "\x55\xaa r");
  EXPECT_EQ(read(*rom, 4, 4), "om\xff\xff");
  EXPECT_EQ(read(*rom, 6, 2), "\xff\xff");
  EXPECT_EQ(read(*rom, UINT64_MAX - 1, 2), "\xff\xff");
  rom->write(0, std::array<std::byte, 2>{});
  EXPECT_EQ(read(*rom, 0, 1), "\x55");
}

TEST(RomImage, AFileThatIsNoRomIsRefusedByName) {
  const auto missing = RomImage::load("no/such.rom");
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().code, ENOENT);
  EXPECT_THAT(missing.error().message(), HasSubstr("no/such.rom"));

  const RomFile nothing("");
  const auto empty = RomImage::load(nothing.path());
  ASSERT_FALSE(empty);
  EXPECT_EQ(empty.error().code, EINVAL);
  EXPECT_THAT(empty.error().message(), HasSubstr(nothing.path()));

  EXPECT_FALSE(RomImage::load(std::filesystem::path(nothing.path()).parent_path()));

  const RomFile large("x");
  std::filesystem::resize_file(large.path(), RomImage::kMaxSize);
  EXPECT_TRUE(RomImage::load(large.path()));
  std::filesystem::resize_file(large.path(), RomImage::kMaxSize + 1);
  EXPECT_EQ(RomImage::load(large.path()).error().code, EFBIG);
}

}  // namespace
}  // namespace passthru
