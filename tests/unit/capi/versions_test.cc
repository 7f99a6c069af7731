// SPDX-License-Identifier: MIT
// Tests of programs that were compiled against another version: shorter and longer structs.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <memory>

#include "capi/sized_struct.h"
#include "capi/struct_sizes.h"
#include "tests/unit/capi/capi_fixture.h"

namespace passthru {
namespace {

class Versions : public CapiFixture {};

/// The tables of a made-up later version.
struct LaterCallbacks {
  passthru_callbacks known;
  int (*new_callback)(void* vmm);
};
struct LaterOptions {
  passthru_device_options known;
  uint64_t new_member;
};

/// The structs of a made-up later library.
struct LibraryCallbacks : passthru_callbacks {
  int (*new_callback)(void* vmm);
};
struct LibraryOptions : passthru_device_options {
  uint64_t new_member;
};
struct LibraryBarInfo : passthru_bar_info {
  uint64_t new_member;
};
/// A program's struct, and what the program has behind it.
template <class Struct>
struct Given {
  Struct known;
  uint64_t behind;
};

TEST_F(Versions, TheLibraryReportsItsVersion) {
  EXPECT_EQ(passthru_version(), PASSTHRU_VERSION);
  EXPECT_EQ(PASSTHRU_VERSION >> 16, uint32_t{PASSTHRU_VERSION_MAJOR});
}

TEST_F(Versions, AProgramOfALaterVersionRunsIfItAsksForNothingNew) {
  plug();
  LaterCallbacks callbacks{.known = all_callbacks(), .new_callback = nullptr};
  callbacks.known.size = sizeof callbacks;
  create(callbacks.known);
  LaterOptions later{.known = options(), .new_member = 0};
  later.known.size = sizeof later;
  passthru_device* device = nullptr;
  EXPECT_EQ(passthru_device_open(domain, &later.known, &device), 0) << passthru_last_error();
}

TEST_F(Versions, AProgramThatAsksForSomethingNewIsRefused) {
  plug();
  LaterCallbacks callbacks{.known = all_callbacks(), .new_callback = [](void*) { return 0; }};
  callbacks.known.size = sizeof callbacks;
  passthru_domain* made = nullptr;
  EXPECT_EQ(passthru_domain_create(&callbacks.known, &vmm, nullptr, &made), -E2BIG);
  create();
  LaterOptions later{.known = options(), .new_member = 1};
  later.known.size = sizeof later;
  passthru_device* device = nullptr;
  EXPECT_EQ(passthru_device_open(domain, &later.known, &device), -E2BIG);
}

TEST_F(Versions, AProgramOfThisVersionRunsWithALaterLibrary) {
  const Given<passthru_callbacks> table{.known = all_callbacks(), .behind = ~uint64_t{0}};
  const auto callbacks = read_struct(static_cast<const LibraryCallbacks*>(&table.known),
                                     kCallbacksSize, "create a domain");
  ASSERT_TRUE(callbacks);
  EXPECT_EQ(callbacks->event, table.known.event);
  EXPECT_EQ(callbacks->new_callback, nullptr) << "the default";

  const Given<passthru_device_options> wanted{.known = options(), .behind = ~uint64_t{0}};
  const auto read = read_struct(static_cast<const LibraryOptions*>(&wanted.known),
                                kDeviceOptionsSize, "open a device");
  ASSERT_TRUE(read);
  EXPECT_EQ(read->guest_address, wanted.known.guest_address);
  EXPECT_EQ(read->new_member, 0U) << "what an older library did";

  Given<passthru_bar_info> info{.known = {}, .behind = 5};
  info.known.size = sizeof info.known;
  LibraryBarInfo found{};
  found.bar_size = 4096;
  found.new_member = 7;
  ASSERT_TRUE(write_struct(found, static_cast<LibraryBarInfo*>(&info.known), kBarInfoSize,
                           "describe a BAR"));
  EXPECT_EQ(info.known.size, sizeof info.known);
  EXPECT_EQ(info.known.bar_size, 4096U);
  EXPECT_EQ(info.behind, 5U) << "the program's own";
}

TEST_F(Versions, StructsOfTheFirstVersionKeepTheirSize) {
  EXPECT_LE(kCallbacksSize, sizeof(passthru_callbacks));
  passthru_callbacks first = all_callbacks();
  first.size = kCallbacksSize;
  plug();
  create(first);
  passthru_bar_info info{};
  info.size = kBarInfoSize;
  EXPECT_EQ(passthru_device_bar_info(open(), 0, &info), 0);
  EXPECT_EQ(info.size, kBarInfoSize);
}

TEST_F(Versions, TheCallbackTableIsCopied) {
  plug();
  auto callbacks = std::make_unique<passthru_callbacks>(all_callbacks());
  create(*callbacks);
  *callbacks = {};
  place(open());
  EXPECT_EQ(vmm.host.mappings().size(), 1U);
}

}  // namespace
}  // namespace passthru
