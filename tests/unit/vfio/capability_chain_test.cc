// SPDX-License-Identifier: MIT
// Walks of capability chains. A malformed chain is refused without a read beyond the answer.
#include "vfio/capability_chain.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cerrno>
#include <cstring>
#include <string>

namespace passthru {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr uint32_t kFixed = 16;  ///< the size of the struct before the capabilities
constexpr uint32_t kHeader = sizeof(vfio_info_cap_header);

/// Headers one behind the other: the nth is at kFixed + n * kHeader.
struct Chain {
  const char* what;
  std::vector<vfio_info_cap_header> headers;
  uint32_t first = kFixed;
  size_t cut = 0;  ///< bytes that are missing at the end
  std::string cause = {};
};

Result<std::vector<InfoCapability>> walk(const Chain& chain) {
  // An allocation of exactly that size, so that a sanitizer detects any read beyond it.
  std::vector<std::byte> answer(kFixed + chain.headers.size() * kHeader);
  for (size_t i = 0; i < chain.headers.size(); ++i) {
    std::memcpy(&answer[kFixed + i * kHeader], &chain.headers[i], kHeader);
  }
  const std::vector<std::byte> whole(answer.begin(),
                                     answer.end() - static_cast<std::ptrdiff_t>(chain.cut));
  return capability_chain(whole, kFixed, chain.first, "GET_INFO");
}

TEST(CapabilityChain, IsReturnedInItsOrder) {
  EXPECT_THAT(*walk({"empty", {}, 0}), IsEmpty());
  EXPECT_THAT(*walk({"forwards", {{7, 1, kFixed + kHeader}, {9, 1, 0}}}),
              ElementsAre(InfoCapability{7, kFixed}, InfoCapability{9, kFixed + kHeader}));
  EXPECT_THAT(*walk({"backwards", {{7, 1, 0}, {9, 1, kFixed}}, kFixed + kHeader}),
              ElementsAre(InfoCapability{9, kFixed + kHeader}, InfoCapability{7, kFixed}));
}

TEST(CapabilityChain, RefusesWhatIsMalformed) {
  const Chain bad[] = {
      {"starts at the end", {}, kFixed, 0, "capability at 0x10 of 0x10 bytes"},
      {"starts far beyond", {{1, 1, 0}}, 0xfffffff8, 0, "capability at 0xfffffff8"},
      {"starts within the struct", {{1, 1, 0}}, kFixed - 1, 0, "capability at 0xf"},
      {"header cut short", {{1, 1, 0}}, kFixed, 1, "capability at 0x10 of 0x17 bytes"},
      {"answer shorter than its struct", {}, kFixed, kFixed - 8, "capability at 0x10 of 0x8"},
      {"answer shorter than a header", {}, kFixed, kFixed - 1, "loop"},
      {"next is the end", {{1, 1, kFixed + kHeader}}, kFixed, 0, "capability at 0x18"},
      {"next is cut short", {{1, 1, kFixed + 1}}, kFixed, 0, "capability at 0x11"},
      {"next is the last address", {{1, 1, UINT32_MAX}}, kFixed, 0, "capability at 0xffffffff"},
      {"next is within the struct", {{1, 1, 8}}, kFixed, 0, "capability at 0x8"},
      {"points at itself", {{1, 1, kFixed}}, kFixed, 0, "loop"},
      {"loop of two", {{1, 1, kFixed + kHeader}, {2, 1, kFixed}}, kFixed, 0, "loop"},
  };
  for (const Chain& each : bad) {
    const auto chain = walk(each);
    ASSERT_FALSE(chain) << each.what;
    EXPECT_EQ(chain.error().code, EBADMSG) << each.what;
    EXPECT_EQ(chain.error().operation, "GET_INFO") << each.what;
    EXPECT_THAT(chain.error().cause, HasSubstr(each.cause)) << each.what;
  }
}

}  // namespace
}  // namespace passthru
