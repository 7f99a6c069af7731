// SPDX-License-Identifier: MIT
// The addresses that a guest may give a BAR, tested on a whole device. Each does what hardware
// does, or is refused, and from each the BAR can return.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <string>

#include "tests/unit/device/assigned_fixture.h"

namespace passthru {
namespace {

constexpr uint64_t kHome = 0xc0000000;
constexpr uint64_t kRam = 0x100000000;
constexpr uint64_t kRamSize = 0x40000000;
constexpr uint32_t kBarFlags = 0xf;

/// A device with one 64-bit BAR of 16 KiB, whose first register is 0x12345678; RAM above 4 GiB.
class Moves : public AssignedFixture {
 protected:
  void SetUp() override {
    FakeSpec spec = FakeSpec::nvme();
    spec.msix = {};
    hardware = &plug(spec);
    const uint32_t value = 0x12345678;
    std::memcpy(hardware->bar(0).data(), &value, sizeof value);
    ASSERT_TRUE(domain.mmio().commit({.add = {{.base = kRam, .size = kRamSize}}}));
    open();
    write_bar(kHome);
    device->config_write(kCommand, 2, 0x2);
  }

  void write_bar(uint64_t address) {
    device->config_write(kBar0 + 4, 4, static_cast<uint32_t>(address >> 32));
    device->config_write(kBar0, 4, static_cast<uint32_t>(address));
  }
  [[nodiscard]] uint64_t bar() const {
    return uint64_t{device->config_read(kBar0 + 4, 4)} << 32 |
           (device->config_read(kBar0, 4) & ~kBarFlags);
  }
  bool answers_at(uint64_t address) { return mmio_read(address) == 0x12345678; }
  [[nodiscard]] bool mapped_at(uint64_t address) const {
    return host.mappings().size() == 1 && host.mappings()[0].address == address;
  }
};

struct Place {
  std::string name;
  uint64_t address;
  bool answers;
};

class MoveTo : public Moves, public testing::WithParamInterface<Place> {};

TEST_P(MoveTo, DoesWhatHardwareDoesAndComesBack) {
  const auto& [name, address, answers] = GetParam();
  for (int round = 0; round < 2; ++round) {
    write_bar(address);
    EXPECT_EQ(bar(), address) << "the register keeps the written value";
    EXPECT_FALSE(answers_at(kHome));
    EXPECT_EQ(answers_at(address), answers);
    EXPECT_EQ(mapped_at(address), answers);
    EXPECT_EQ(host.mappings().size(), answers ? 1U : 0U);
    write_bar(kHome);
    EXPECT_TRUE(answers_at(kHome) && mapped_at(kHome));
  }
  EXPECT_TRUE(host.events.empty());
}

INSTANTIATE_TEST_SUITE_P(BarMoves, MoveTo,
                         testing::Values(Place{"Elsewhere", 0xd0000000, true},
                                         Place{"Zero", 0, false},
                                         Place{"TheFirstAddressAboveZero", 0x4000, true},
                                         Place{"OverRam", kRam + 0x100000, false},
                                         Place{"OverTheLastOfRam", kRam + kRamSize - 0x4000, false},
                                         Place{"JustBehindRam", kRam + kRamSize, true},
                                         Place{"TheTopOfThirtyTwoBits", 0xffff8000, true},
                                         Place{"WhatSizingTheLowerHalfLeaves", 0xffffc000, false},
                                         Place{"TheTopOfSixtyFourBits", 0xffffffffffff8000, false},
                                         Place{"WhatSizingLeaves", 0xffffffffffffc000, false}),
                         [](const auto& test) { return test.param.name; });

TEST_F(Moves, WithDecodeOnTheHalvesMayBeWrittenInAnyOrderAndWidth) {
  constexpr uint64_t kThere = 0x2d0000000;
  device->config_write(kBar0 + 4, 4, kThere >> 32);
  EXPECT_TRUE(answers_at((kThere & ~uint64_t{UINT32_MAX}) | kHome)) << "halfway";
  device->config_write(kBar0, 4, static_cast<uint32_t>(kThere));
  EXPECT_TRUE(answers_at(kThere) && mapped_at(kThere));
  for (uint32_t byte = 0; byte < 8; ++byte) {
    device->config_write(kBar0 + byte, 1, static_cast<uint32_t>(kHome >> (8 * byte) & 0xff));
  }
  EXPECT_TRUE(answers_at(kHome) && mapped_at(kHome));
  for (uint32_t word = 0; word < 8; word += 2) {
    device->config_write(kBar0 + word, 2, static_cast<uint32_t>(kThere >> (8 * word) & 0xffff));
  }
  EXPECT_TRUE(answers_at(kThere) && mapped_at(kThere));
}

TEST_F(Moves, SizingWithDecodeOnEndsWhereItBegan) {
  device->config_write(kBar0, 4, UINT32_MAX);
  EXPECT_EQ(device->config_read(kBar0, 4) & ~kBarFlags, 0xffffc000U);
  EXPECT_TRUE(host.mappings().empty());
  device->config_write(kBar0 + 4, 4, UINT32_MAX);
  EXPECT_EQ(device->config_read(kBar0 + 4, 4), UINT32_MAX);
  write_bar(kHome);
  EXPECT_TRUE(answers_at(kHome) && mapped_at(kHome));
}

TEST_F(Moves, ARefusedMoveLeavesRegisterAndMappingAndTheNextOneWorks) {
  for (const uint64_t there : {uint64_t{0xd0000000}, kRam + kRamSize}) {
    host.events.clear();
    host.fail_next("map", ENOSPC);
    device->config_write(kCommand, 2, 0x2);
    device->config_write(kBar0, 4, static_cast<uint32_t>(there));
    EXPECT_EQ(bar(), kHome);
    EXPECT_TRUE(answers_at(kHome) && mapped_at(kHome));
    ASSERT_EQ(host.events.size(), 1U);
    EXPECT_EQ(host.events[0].kind, Event::Kind::BarRefused);
    write_bar(there);
    EXPECT_TRUE(answers_at(there) && mapped_at(there));
    write_bar(kHome);
  }
}

}  // namespace
}  // namespace passthru
