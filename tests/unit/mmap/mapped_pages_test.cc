// SPDX-License-Identifier: MIT
// The pages of the guest that map a device's memory: only pages without another window, and again
// as soon as the other window is gone. Two devices, RAM, and a window in many parts.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "tests/unit/device/assigned_fixture.h"
#include "tests/unit/mmap/fake_mapper.h"
#include "tests/unit/mmap/host_memory.h"

namespace passthru {
namespace {

using ::testing::IsEmpty;
using ::testing::SizeIs;

constexpr uint64_t kGuest = 0xc0000000;

/// Two devices of one guest. Each has a BAR of 256 bytes in a host page of its own.
class SubPageBars : public VmFixture {
 protected:
  void SetUp() override {
    for (uint8_t slot = 2; slot < 4; ++slot) {
      FakeSpec spec;
      spec.bdf = {.device = slot};
      spec.group = slot;
      spec.bars[0] = {.size = 256};
      hardware.push_back(&plug(spec));
    }
    for (const FakeDevice* each : hardware) {
      const Bdf bdf = each->spec().bdf;
      auto opened = AssignedDevice::open(domain, {.device = bdf, .guest_address = bdf});
      ASSERT_TRUE(opened) << opened.error().message();
      devices.push_back(std::move(*opened));
    }
    for (size_t i = 0; i < hardware.size(); ++i) {
      hardware[i]->bar(0)[0] = static_cast<std::byte>(0x10 + i);
    }
  }

  void place(size_t device, uint64_t address) {
    devices[device]->config_write(kBar0, 4, static_cast<uint32_t>(address));
    devices[device]->config_write(kCommand, 2, 0x2);
  }
  void decode_off(size_t device) { devices[device]->config_write(kCommand, 2, 0); }
  WindowId add_ram(uint64_t base, uint64_t size) {
    return domain.mmio().commit({.add = {{.base = base, .size = size}}})->front();
  }
  [[nodiscard]] bool mapped(uint64_t page) const {
    for (const GuestMapping& each : host.mappings()) {
      if (each.address == page && each.size == kPage) return true;
    }
    return false;
  }
  /// Returns the byte that identifies the device at the address.
  unsigned who(uint64_t address) {
    std::byte byte{};
    domain.mmio().read(address, {&byte, 1});
    return static_cast<unsigned>(byte);
  }

  std::vector<FakeDevice*> hardware;
  std::vector<std::unique_ptr<AssignedDevice>> devices;
};

TEST_F(SubPageBars, AreMappedAsPagesEachInItsOwn) {
  place(0, kGuest);
  place(1, kGuest + kPage);
  EXPECT_TRUE(mapped(kGuest));
  EXPECT_TRUE(mapped(kGuest + kPage));
  EXPECT_THAT(host.mappings(), SizeIs(2));
}

TEST_F(SubPageBars, ANeighbourThatMovesInShrinksThePageAndOneThatMovesOutGivesItBack) {
  place(0, kGuest);
  for (int round = 0; round < 3; ++round) {
    place(1, kGuest + 0x800);
    EXPECT_THAT(host.mappings(), IsEmpty());
    EXPECT_EQ(who(kGuest), 0x10U);
    EXPECT_EQ(who(kGuest + 0x800), 0x11U);
    EXPECT_EQ(who(kGuest + 0x400), 0xffU) << "no window is between them";
    place(1, kGuest + kPage);
    EXPECT_TRUE(mapped(kGuest));
    EXPECT_TRUE(mapped(kGuest + kPage));
  }
}

TEST_F(SubPageBars, DecodeOffOfTheNeighbourGivesThePageBackToo) {
  place(0, kGuest);
  place(1, kGuest + 0xf00);
  EXPECT_THAT(host.mappings(), IsEmpty());
  decode_off(1);
  EXPECT_TRUE(mapped(kGuest));
  devices[1]->config_write(kCommand, 2, 0x2);
  EXPECT_THAT(host.mappings(), IsEmpty());
  devices[1].reset();
  EXPECT_TRUE(mapped(kGuest)) << "it was unplugged";
}

TEST_F(SubPageBars, OneThatIsNotAtThePagesStartIsTrappedThoughItIsAlone) {
  place(0, kGuest + 0x100);
  EXPECT_THAT(host.mappings(), IsEmpty());
  EXPECT_EQ(who(kGuest + 0x100), 0x10U);
  place(0, kGuest);
  EXPECT_TRUE(mapped(kGuest));
}

TEST_F(SubPageBars, RamInThePageKeepsItTrapped) {
  const WindowId ram = add_ram(kGuest + 0x800, kPage);
  place(0, kGuest);
  EXPECT_THAT(host.mappings(), IsEmpty());
  EXPECT_EQ(who(kGuest), 0x10U);
  ASSERT_TRUE(domain.mmio().commit({.remove = {ram}}));
  EXPECT_TRUE(mapped(kGuest));
}

TEST_F(SubPageBars, RamThatWasThereFirstHidesWhatIsPlacedOverIt) {
  add_ram(kGuest, kPage);
  place(0, kGuest);
  EXPECT_THAT(host.mappings(), IsEmpty());
  EXPECT_EQ(who(kGuest), 0xffU) << "the VMM answers there, not this space";
  place(0, kGuest + kPage);
  EXPECT_TRUE(mapped(kGuest + kPage));
}

TEST_F(SubPageBars, OverEachOtherTheOneThatWasFirstHasThePage) {
  place(0, kGuest);
  place(1, kGuest);
  EXPECT_TRUE(mapped(kGuest)) << "the second window is hidden completely";
  EXPECT_EQ(who(kGuest), 0x10U);
  decode_off(0);
  EXPECT_TRUE(mapped(kGuest));
  EXPECT_EQ(who(kGuest), 0x11U);
}

TEST_F(SubPageBars, APageThatTheVmmRefusesToGiveBackIsTrapped) {
  place(0, kGuest);
  place(1, kGuest + 0x800);
  host.fail_next("map", ENOSPC);
  decode_off(1);
  EXPECT_THAT(host.mappings(), IsEmpty());
  EXPECT_EQ(who(kGuest), 0x10U);
  EXPECT_EQ(who(kGuest + 0x800), 0xffU) << "decode is off, whatever the VMM reported";
}

TEST(MappedPages, OfAWindowInManyPartsUnderManyCoversAreExactlyThoseThatAreSeen) {
  constexpr uint64_t kParts = 64;
  FakeMapper mapper;
  AddressSpace space(uint64_t{1} << 40, &mapper, kPage);
  auto* const memory = reinterpret_cast<std::byte*>(uint64_t{0x10000000});  // never accessed
  AddressSpaceChange change;
  // A cover of 16 bytes at the start of every third part, which takes that page.
  for (uint64_t part = 0; part < kParts; part += 3) {
    change.add.push_back({.base = kGuest + part * 2 * kPage, .size = 16});
  }
  Window window{.base = kGuest, .size = kParts * 2 * kPage};
  std::vector<GuestMapping> seen;
  for (uint64_t part = 0; part < kParts; ++part) {
    const uint64_t offset = part * 2 * kPage;  // every second page is trapped
    window.spans.push_back({offset, kPage, memory + offset});
    if (part % 3 != 0) seen.push_back({kGuest + offset, kPage, memory + offset});
  }
  change.add.push_back(window);
  ASSERT_TRUE(space.commit(change));
  EXPECT_EQ(mapper.all(), seen);
}

}  // namespace
}  // namespace passthru
