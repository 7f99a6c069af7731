// SPDX-License-Identifier: MIT
// Tests of structs of older and newer versions.
#include "capi/sized_struct.h"

#include <gtest/gtest.h>

namespace passthru {
namespace {

struct Known {
  uint32_t size;
  uint32_t first;
  uint64_t second;  // since a later version
};
struct Newer {
  Known known;
  uint64_t third;
};
constexpr size_t kMinimum = 8;

Result<Known> read(const void* given) {
  return read_struct(static_cast<const Known*>(given), kMinimum, "read");
}

TEST(SizedStructTest, AnOlderStructHasZerosForItsMissingMembers) {
  struct {
    uint32_t size = 8;
    uint32_t first = 7;
    uint64_t beyond = ~uint64_t{0};  // not of the struct
  } older;
  const auto known = read(&older);
  ASSERT_TRUE(known);
  EXPECT_EQ(known->first, 7U);
  EXPECT_EQ(known->second, 0U);
}

TEST(SizedStructTest, ANewerStructIsAcceptedIfItsUnknownMembersAreZero) {
  Newer newer{.known = {.size = sizeof(Newer), .first = 1, .second = 2}, .third = 0};
  ASSERT_TRUE(read(&newer));
  newer.third = uint64_t{1} << 63;
  EXPECT_EQ(read(&newer).error().code, E2BIG);
}

TEST(SizedStructTest, SizesThatNoVersionHasAreRefused) {
  for (const uint32_t size : {0U, 1U, 4U, 7U}) {
    const Known wrong{.size = size, .first = 0, .second = 0};
    EXPECT_EQ(read(&wrong).error().code, EINVAL) << size;
  }
  for (const uint32_t size : {4097U, UINT32_MAX}) {
    const Known wrong{.size = size, .first = 0, .second = 0};
    EXPECT_EQ(read(&wrong).error().code, E2BIG) << "its bytes are not read: " << size;
  }
  EXPECT_EQ(read(nullptr).error().code, EINVAL);
}

TEST(SizedStructTest, WritingFillsAnOlderStructAndZeroesTheRestOfANewerOne) {
  const Known value{.size = 0, .first = 7, .second = 8};
  struct {
    uint32_t size = 8;
    uint32_t first = 0;
    uint64_t beyond = 5;
  } older;
  ASSERT_TRUE(write_struct(value, reinterpret_cast<Known*>(&older), kMinimum, "write"));
  EXPECT_EQ(older.size, 8U);
  EXPECT_EQ(older.first, 7U);
  EXPECT_EQ(older.beyond, 5U) << "beyond the struct";
  Newer newer{.known = {.size = sizeof(Newer), .first = 0, .second = 0}, .third = 5};
  ASSERT_TRUE(write_struct(value, &newer.known, kMinimum, "write"));
  EXPECT_EQ(newer.known.size, sizeof(Newer));
  EXPECT_EQ(newer.known.second, 8U);
  EXPECT_EQ(newer.third, 0U);
}

}  // namespace
}  // namespace passthru
