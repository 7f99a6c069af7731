// SPDX-License-Identifier: MIT
// Tests of the bytes of a device's state: they hold every value, and bytes that are no state are
// refused with the part that is wrong.
#include "device/device_state.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cerrno>
#include <functional>
#include <string>

namespace passthru {
namespace {

using ::testing::HasSubstr;

constexpr size_t kHeader = 16;
constexpr size_t kBarsSection = kHeader + 8 + 4;
constexpr size_t kConfigSection = kBarsSection + 8 + 84;
constexpr size_t kMsixSection = kConfigSection + 8 + 4096;

/// Every value differs from its default.
DeviceState full_state() {
  DeviceState state;
  state.shape = {.vendor = 0x1b36, .device = 0x0010, .msi = true};
  state.shape.bars[0] = {.size = 0x4000, .is_64bit = true, .prefetchable = true};
  state.shape.bars[2] = {.size = 32, .io = true};
  state.shape.bars[4] = {.size = uint64_t{1} << 38, .is_64bit = true};
  state.shape.bars[kRomBar] = {.size = 0x8000};
  state.shape.msix = MsixLayout{.vectors = 3,
                                .table_bar = 4,
                                .table_offset = 0x2000,
                                .pba_bar = 0,
                                .pba_offset = 0x1'0000'3000,
                                .capability = 0xb0};
  for (size_t at = 0; at < state.config.size(); ++at) {
    state.config[at] = static_cast<uint8_t>(at * 7 + 1);
  }
  state.interrupts.msix.allocated = 2;
  for (uint32_t vector = 0; vector < 3; ++vector) {
    state.interrupts.msix.vectors.push_back(
        {.entry = {.address_low = 0xfee0'0000 + vector,
                   .address_high = vector + 1,
                   .data = 0x4000'0041 + vector,
                   .control = vector % 2},
         .in_force = {.address = uint64_t{0x1'fee0'1000} + vector, .data = 0x52 + vector},
         .pending = vector == 1});
  }
  state.interrupts.msi_pending = 0x8000'0001;
  return state;
}

/// Writes a little-endian number over the bytes at `at`.
template <class T>
void overwrite(std::string& bytes, size_t at, T value) {
  for (size_t byte = 0; byte < sizeof value; ++byte) {
    bytes[at + byte] = static_cast<char>(static_cast<uint64_t>(value) >> (8 * byte) & 0xff);
  }
}

/// Makes the header's length fit, so that the decoder reads on.
void settle_length(std::string& bytes) {
  overwrite(bytes, 12, static_cast<uint32_t>(bytes.size()));
}

void append_section(std::string& bytes, uint32_t tag, std::string_view content) {
  const size_t at = bytes.size();
  bytes.resize(at + 8);
  overwrite(bytes, at, tag);
  overwrite(bytes, at + 4, static_cast<uint32_t>(content.size()));
  bytes += content;
  settle_length(bytes);
}

TEST(DeviceState, TheBytesHoldEveryValue) {
  const DeviceState state = full_state();
  const auto read = decode(encode(state));
  ASSERT_TRUE(read) << read.error().message();
  EXPECT_EQ(*read, state);
}

TEST(DeviceState, ADeviceWithoutMsixAndMsiHasNoSectionsForThem) {
  DeviceState state = full_state();
  state.shape.msix.reset();
  state.shape.msi = false;
  state.interrupts = {};
  const std::string bytes = encode(state);
  EXPECT_EQ(bytes.size(), kMsixSection);
  const auto read = decode(bytes);
  ASSERT_TRUE(read) << read.error().message();
  EXPECT_EQ(*read, state);
}

TEST(DeviceState, TheHeaderIsAsTheDocumentSays) {
  const std::string bytes = encode(full_state());
  EXPECT_EQ(bytes.substr(0, 8), "PTHRUDEV");
  EXPECT_EQ(bytes.substr(8, 4), std::string("\1\0\0\0", 4));
  EXPECT_EQ(bytes.substr(kHeader, 4), "DEVI");
  EXPECT_EQ(bytes.substr(kBarsSection, 4), "BARS");
  EXPECT_EQ(bytes.substr(kConfigSection, 4), "CONF");
  EXPECT_EQ(bytes.substr(kMsixSection, 4), "MSIX");
}

TEST(DeviceState, AnUnknownSectionIsSkippedOnlyIfItIsOptional) {
  std::string bytes = encode(full_state());
  append_section(bytes, 0x8000'1234, "content");
  const auto read = decode(bytes);
  ASSERT_TRUE(read) << read.error().message();
  EXPECT_EQ(*read, full_state());
  append_section(bytes, 0x1234, "content");
  const auto refused = decode(bytes);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ENOTSUP);
  EXPECT_THAT(refused.error().message(), HasSubstr("0x1234"));
}

TEST(DeviceState, AnotherMinorVersionIsRead) {
  std::string bytes = encode(full_state());
  overwrite<uint16_t>(bytes, 10, 7);
  EXPECT_TRUE(decode(bytes));
}

struct BadState {
  const char* cause;
  int code;
  std::function<void(std::string&)> spoil;
};

TEST(DeviceState, WhatIsWrongIsRefusedWithItsPart) {
  const BadState cases[] = {
      {"does not begin", EINVAL, [](std::string& s) { s[0] = 'X'; }},
      {"does not begin", EINVAL, [](std::string& s) { s.clear(); }},
      {"header is cut off", EINVAL, [](std::string& s) { s.resize(15); }},
      {"version 2.0", ENOTSUP, [](std::string& s) { overwrite<uint16_t>(s, 8, 2); }},
      {"version 0.0", ENOTSUP, [](std::string& s) { overwrite<uint16_t>(s, 8, 0); }},
      {"its header says", EINVAL, [](std::string& s) { s += '\0'; }},
      {"its header says", EINVAL, [](std::string& s) { s.pop_back(); }},
      {"section is cut off", EINVAL,
       [](std::string& s) {
         s += "DEVI";
         settle_length(s);
       }},
      {"is cut off", EINVAL, [](std::string& s) { overwrite(s, kHeader + 4, ~uint32_t{0}); }},
      {"DEVI is missing", EINVAL,
       [](std::string& s) {
         s.erase(kHeader, kBarsSection - kHeader);
         settle_length(s);
       }},
      {"CONF is missing", EINVAL,
       [](std::string& s) {
         s.erase(kConfigSection, kMsixSection - kConfigSection);
         settle_length(s);
       }},
      {"DEVI is there twice", EINVAL,
       [](std::string& s) { append_section(s, 0x4956'4544, "abcd"); }},
      {"DEVI has a wrong length", EINVAL,
       [](std::string& s) {
         s.insert(kBarsSection, "x");
         overwrite<uint32_t>(s, kHeader + 4, 5);
         settle_length(s);
       }},
      {"BARS has a wrong length", EINVAL,
       [](std::string& s) {
         s.erase(kConfigSection - 1, 1);
         overwrite<uint32_t>(s, kBarsSection + 4, 83);
         settle_length(s);
       }},
      {"BARS has reserved bits", EINVAL,
       [](std::string& s) { overwrite<uint32_t>(s, kBarsSection + 8 + 8, 8); }},
      {"CONF has a wrong length", EINVAL,
       [](std::string& s) {
         s.erase(kMsixSection - 1, 1);
         overwrite<uint32_t>(s, kConfigSection + 4, 4095);
         settle_length(s);
       }},
      {"MSIX has 0 vectors", EINVAL,
       [](std::string& s) { overwrite<uint32_t>(s, kMsixSection + 8, 0); }},
      {"MSIX has 2049 vectors", EINVAL,
       [](std::string& s) { overwrite<uint32_t>(s, kMsixSection + 8, 2049); }},
      {"MSIX has a wrong length", EINVAL,
       [](std::string& s) { overwrite<uint32_t>(s, kMsixSection + 8, 2048); }},
      {"MSIX has a wrong length", EINVAL,
       [](std::string& s) {
         s.resize(kMsixSection + 8 + 27);
         overwrite<uint32_t>(s, kMsixSection + 4, 27);
         settle_length(s);
       }},
      {"more vectors allocated", EINVAL,
       [](std::string& s) { overwrite<uint32_t>(s, kMsixSection + 8 + 4, 4); }},
      {"MSIX has reserved bits", EINVAL, [](std::string& s) { s[kMsixSection + 8 + 27] = 1; }},
      {"MSIX has reserved bits", EINVAL,
       [](std::string& s) { overwrite<uint32_t>(s, kMsixSection + 8 + 28 + 12, 2); }},
      {"MSIX has reserved bits", EINVAL,
       [](std::string& s) { overwrite<uint32_t>(s, kMsixSection + 8 + 28 + 28, 2); }},
      {"MSIP has a wrong length", EINVAL,
       [](std::string& s) {
         s.resize(s.size() - 4);
         overwrite<uint32_t>(s, s.size() - 4, 0);
         settle_length(s);
       }},
  };
  for (const BadState& each : cases) {
    SCOPED_TRACE(each.cause);
    std::string bytes = encode(full_state());
    each.spoil(bytes);
    const auto refused = decode(bytes);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, each.code);
    EXPECT_THAT(refused.error().message(), HasSubstr(each.cause));
  }
}

TEST(DeviceState, NoTruncationAndNoModifiedByteIsReadBeyondItsBytes) {
  const std::string good = encode(full_state());
  for (size_t at = 0; at < good.size(); ++at) {
    // An exact copy on the heap, so that AddressSanitizer finds a read beyond it.
    const std::string cut(good, 0, at);
    EXPECT_FALSE(decode(cut)) << at;
    for (const int flip : {0x01, 0x80, 0xff}) {
      std::string modified = good;
      modified[at] = static_cast<char>(modified[at] ^ flip);
      const auto read = decode(modified);
      if (!read) continue;
      EXPECT_EQ(decode(encode(*read)).value(), *read) << at;
    }
  }
}

TEST(DeviceState, AStateOfAnotherDeviceIsRefusedWithTheDifference) {
  struct Difference {
    const char* cause;
    std::function<void(DeviceShape&)> change;
  };
  const Difference cases[] = {
      {"1b36:0010", [](DeviceShape& s) { s.vendor = 0x8086; }},
      {"1b36:0011", [](DeviceShape& s) { s.device = 0x0011; }},
      {"BAR 0", [](DeviceShape& s) { s.bars[0].size = 0x8000; }},
      {"BAR 2", [](DeviceShape& s) { s.bars[2].io = false; }},
      {"BAR 4", [](DeviceShape& s) { s.bars[4].prefetchable = true; }},
      {"the ROM", [](DeviceShape& s) { s.bars[kRomBar] = {}; }},
      {"MSI-X", [](DeviceShape& s) { s.msix.reset(); }},
      {"MSI-X", [](DeviceShape& s) { s.msix->vectors = 4; }},
      {"MSI-X", [](DeviceShape& s) { s.msix->pba_offset += 8; }},
      {"has MSI", [](DeviceShape& s) { s.msi = false; }},
  };
  const DeviceShape here = full_state().shape;
  EXPECT_TRUE(check_same_shape(here, here));
  for (const Difference& each : cases) {
    SCOPED_TRACE(each.cause);
    DeviceShape other = here;
    each.change(other);
    const auto refused = check_same_shape(other, here);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, EINVAL);
    EXPECT_THAT(refused.error().message(), HasSubstr(each.cause));
  }
}

}  // namespace
}  // namespace passthru
