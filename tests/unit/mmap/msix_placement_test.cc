// SPDX-License-Identifier: MIT
// The placement of the MSI-X table, as a table: the lab's devices, and layouts without room.
#include "mmap/msix_placement.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "tests/unit/mmap/host_memory.h"

namespace passthru {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

using Kind = MsixChoice::Kind;

struct Device {
  BarInfos shapes;
  MsixLayout msix;
};

// Registers up to 0x3000; table and pending bits share the last page.
Device xhci() {
  return {{{{.size = 0x4000, .is_64bit = true}}},
          {.vectors = 16, .table_offset = 0x3000, .pba_offset = 0x3800}};
}
// Doorbells at 0x1000, a page for the table, a page for the pending bits.
Device nvme() {
  return {{{{.size = 0x4000, .is_64bit = true}}},
          {.vectors = 65, .table_offset = 0x2000, .pba_offset = 0x3000}};
}
// A BAR for MSI-X alone, ports in BAR 2, BARs 4 and 5 free.
Device e1000e() {
  return {{{{.size = 0x20000}, {.size = 0x20000}, {.size = 32, .io = true}, {.size = 0x4000}}},
          {.vectors = 5, .table_bar = 3, .pba_bar = 3, .pba_offset = 0x2000}};
}
// Three 64-bit BARs: no BAR register is free.
Device full() {
  return {{{{.size = 0x10000, .is_64bit = true},
            {},
            {.size = 0x8000, .is_64bit = true, .prefetchable = true},
            {},
            {.size = 0x100000, .is_64bit = true}}},
          {.vectors = 2048, .table_offset = 0x4000, .pba_bar = 2, .pba_offset = 0x10}};
}

MsixPlacement placed(const Device& device, const MsixChoice& choice, uint64_t page = kPage) {
  auto placement = place_msix(device.shapes, device.msix, page, choice);
  EXPECT_TRUE(placement) << placement.error().message();
  return placement ? *placement : MsixPlacement{};
}

struct PlacementCase {
  const char* name;
  Device device;
  MsixChoice choice;
  unsigned bar;    ///< the BAR with table and pending bits
  uint64_t table;  ///< offset
  uint64_t pba;
  uint64_t size;  ///< of that BAR
  uint64_t page = kPage;
};

class Relocation : public testing::TestWithParam<PlacementCase> {};

TEST_P(Relocation, ChangesOneBarAndHidesThePhysicalTable) {
  const PlacementCase& c = GetParam();
  const MsixPlacement placement = placed(c.device, c.choice, c.page);
  EXPECT_EQ(placement.layout.table_bar, c.bar);
  EXPECT_EQ(placement.layout.table_offset, c.table);
  EXPECT_EQ(placement.layout.pba_bar, c.bar);
  EXPECT_EQ(placement.layout.pba_offset, c.pba);
  EXPECT_EQ(placement.layout.vectors, c.device.msix.vectors);
  EXPECT_EQ(placement.layout.capability, c.device.msix.capability);
  BarInfos expected = c.device.shapes;
  expected[c.bar].size = c.size;
  EXPECT_EQ(placement.shapes, expected) << "no other BAR and no type changes";
  EXPECT_EQ(placement.hidden, (BarRange{c.device.msix.table_bar, c.device.msix.table_offset,
                                        c.device.msix.table_size()}));
  EXPECT_LE(placement.layout.pba_offset + placement.layout.pba_size(), c.size);
}

INSTANTIATE_TEST_SUITE_P(
    Msix, Relocation,
    testing::Values(
        PlacementCase{"XhciAuto", xhci(), {Kind::Auto}, 2, 0, 0x100, 0x1000},
        PlacementCase{"XhciFreeBar", xhci(), {Kind::Bar, 5}, 5, 0, 0x100, 0x1000},
        PlacementCase{"XhciDoubled", xhci(), {Kind::Bar, 0}, 0, 0x4000, 0x4100, 0x8000},
        PlacementCase{"NvmeAuto", nvme(), {Kind::Auto}, 2, 0, 0x410, 0x1000},
        PlacementCase{"NvmeDoubled", nvme(), {Kind::Bar, 0}, 0, 0x4000, 0x4410, 0x8000},
        PlacementCase{
            "NvmeDoubledOn64K", nvme(), {Kind::Bar, 0}, 0, 0x10000, 0x10410, 0x20000, 0x10000},
        PlacementCase{"NvmeFreeBarOn64K", nvme(), {Kind::Bar, 3}, 3, 0, 0x410, 0x10000, 0x10000},
        PlacementCase{"E1000eAuto", e1000e(), {Kind::Auto}, 4, 0, 0x50, 0x1000},
        PlacementCase{
            "E1000eItsOwnBarDoubled", e1000e(), {Kind::Bar, 3}, 3, 0x4000, 0x4050, 0x8000},
        PlacementCase{
            "FullAutoTakesTheSmallest", full(), {Kind::Auto}, 2, 0x8000, 0x10000, 0x20000},
        PlacementCase{"FullLargest", full(), {Kind::Bar, 4}, 4, 0x100000, 0x108000, 0x200000}),
    [](const auto& test) { return test.param.name; });

TEST(MsixPlacement, InPlaceTheGuestSeesTheDeviceAsItIs) {
  for (const Device& device : {xhci(), nvme(), e1000e(), full()}) {
    const MsixPlacement placement = placed(device, {});
    EXPECT_EQ(placement.shapes, device.shapes);
    EXPECT_EQ(placement.layout, device.msix);
    EXPECT_FALSE(placement.hidden);
  }
}

TEST(MsixPlacement, AutoLeavesATableAloneThatFillsItsPages) {
  const Device device{{{{.size = 0x10000}}}, {.vectors = 256, .pba_bar = 1, .pba_offset = 0}};
  Device alone = device;
  alone.shapes[1].size = 32;  // only the pending bits of 256 vectors
  EXPECT_EQ(placed(alone, {Kind::Auto}).layout, alone.msix);
  alone.shapes[1].size = 64;
  EXPECT_NE(placed(alone, {Kind::Auto}).layout, alone.msix)
      << "the BAR holds more than pending bits";
  Device shifted = alone;
  shifted.shapes[1].size = 32;
  shifted.msix.table_offset = 0x800;
  EXPECT_NE(placed(shifted, {Kind::Auto}).layout, shifted.msix)
      << "half a page of registers on both sides";
}

TEST(MsixPlacement, AutoLeavesATableInPlaceWhereThereIsNoRoom) {
  Device device = nvme();
  for (unsigned bar = 0; bar < kRomBar; ++bar) {
    device.shapes[bar] = {.size = 256, .io = true};
  }
  device.shapes[0] = {.size = uint64_t{1} << 31};
  EXPECT_EQ(placed(device, {Kind::Auto}).layout, device.msix);
}

TEST(MsixPlacement, ABarWithoutRoomIsRefusedAndThoseWithRoomAreNamed) {
  Device huge = e1000e();
  huge.shapes[0].size = uint64_t{1} << 31;
  Device huge64 = nvme();
  huge64.shapes[0].size = uint64_t{1} << 32;  // the capability could not express the table's offset
  const struct {
    const char* name;
    Device device;
    unsigned bar;
    int code;
    const char* cause;
  } cases[] = {{"ports", e1000e(), 2, EINVAL, "I/O BAR"},
               {"upper half", nvme(), 1, EINVAL, "upper half"},
               {"no such BAR", nvme(), 6, EINVAL, "BARs 0 to 5"},
               {"far beyond", nvme(), UINT32_MAX, EINVAL, "BARs 0 to 5"},
               {"2 GiB in 32 bits", huge, 0, ENOSPC, "32-bit BAR above 1 GiB"},
               {"4 GiB", huge64, 0, ENOSPC, "64-bit BAR above 2 GiB"}};
  for (const auto& c : cases) {
    SCOPED_TRACE(c.name);
    const auto refused = place_msix(c.device.shapes, c.device.msix, kPage, {Kind::Bar, c.bar});
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, c.code);
    EXPECT_THAT(refused.error().message(), HasSubstr(c.cause));
    EXPECT_THAT(refused.error().advice, HasSubstr("bar4, "));
    EXPECT_THAT(refused.error().advice, Not(HasSubstr("bar" + std::to_string(c.bar) + ",")));
  }
}

struct Announced {
  const char* name;
  unsigned bar;  ///< of the pending bits
  uint64_t offset;
};

class MisplacedPendingBits : public testing::TestWithParam<Announced> {};

TEST_P(MisplacedPendingBits, Case9GetAPlaceOfTheirOwn) {
  Device device = nvme();
  device.shapes[2] = {.size = 32, .io = true};
  device.msix.pba_bar = GetParam().bar;
  device.msix.pba_offset = GetParam().offset;
  RegionSizes sizes{};
  for (unsigned bar = 0; bar < kBars; ++bar) sizes[bar] = device.shapes[bar].size;
  const auto msix = usable_msix(device.shapes, sizes, device.msix, kPage);
  ASSERT_TRUE(msix);
  EXPECT_FALSE(msix->has_pba);
  const MsixPlacement placement = placed({device.shapes, *msix}, {});
  EXPECT_EQ(placement.layout.table_bar, 0U);
  EXPECT_EQ(placement.layout.table_offset, 0x2000U);
  EXPECT_EQ(placement.layout.pba_bar, 3U) << "the lowest free register";
  EXPECT_EQ(placement.layout.pba_offset, 0U);
  EXPECT_TRUE(placement.layout.has_pba);
  EXPECT_EQ(placement.shapes[3], (BarInfo{.size = kPage}));
  EXPECT_FALSE(placement.hidden) << "the guest's table is the device's";
}

INSTANTIATE_TEST_SUITE_P(Msix, MisplacedPendingBits,
                         testing::Values(Announced{"BeyondTheBar", 0, 0x8000},
                                         Announced{"AcrossItsEnd", 0, 0x3ff8},
                                         Announced{"InABarOfSizeZero", 4, 0},
                                         Announced{"InTheUpperHalf", 1, 0},
                                         Announced{"InPorts", 2, 0}),
                         [](const auto& test) { return test.param.name; });

TEST(MsixPlacement, Case9WithoutAFreeRegisterTheSmallestBarGrows) {
  Device device = full();
  device.msix.pba_offset = 0x8000;  // BAR 2 ends there
  const RegionSizes sizes{0x10000, 0, 0x8000, 0, 0x100000};
  const auto msix = usable_msix(device.shapes, sizes, device.msix, kPage);
  ASSERT_TRUE(msix);
  const MsixPlacement placement = placed({device.shapes, *msix}, {});
  EXPECT_EQ(placement.layout.pba_bar, 2U);
  EXPECT_EQ(placement.layout.pba_offset, 0x8000U);
  EXPECT_EQ(placement.shapes[2].size, 0x10000U);
  EXPECT_TRUE(placement.shapes[2].prefetchable);
}

TEST(MsixPlacement, Case9WithoutRoomForPendingBitsMsixIsNotUsable) {
  Device device = nvme();
  for (unsigned bar = 2; bar < kRomBar; ++bar) device.shapes[bar] = {.size = 256, .io = true};
  device.shapes[0] = {.size = uint64_t{1} << 32, .is_64bit = true};
  device.msix.pba_offset = 0xffff'fff0;
  RegionSizes sizes{uint64_t{1} << 32};
  EXPECT_TRUE(usable_msix(device.shapes, sizes, device.msix, kPage)) << "they end with the BAR";
  sizes[0] = 0xf000'0000;
  EXPECT_FALSE(usable_msix(device.shapes, sizes, device.msix, kPage));
}

TEST(MsixPlacement, Case9AutoMovesMisplacedPendingBitsWithTheTable) {
  Device device = xhci();
  device.msix.has_pba = false;
  const MsixPlacement placement = placed(device, {Kind::Auto});
  EXPECT_EQ(placement.layout.table_bar, 2U);
  EXPECT_EQ(placement.layout.pba_bar, 2U);
  EXPECT_TRUE(placement.layout.has_pba);
}

TEST(MsixPlacement, Case20FewerVectorsInPlaceHideTheRestOfThePhysicalTable) {
  const Device device = nvme();
  const MsixPlacement placement = *place_msix(device.shapes, device.msix, kPage, {}, 8);
  EXPECT_EQ(placement.layout.vectors, 8U);
  EXPECT_EQ(placement.layout.table_size(), 128U);
  EXPECT_EQ(placement.layout.pba_size(), 8U);
  EXPECT_EQ(placement.layout.table_offset, 0x2000U);
  EXPECT_EQ(placement.hidden, (BarRange{0, 0x2080, 57 * 16}));
  EXPECT_EQ(place_msix(device.shapes, device.msix, kPage, {}, 65)->hidden, std::nullopt);
  EXPECT_EQ(place_msix(device.shapes, device.msix, kPage, {}, 2048)->layout.vectors, 65U);
}

TEST(MsixPlacement, Case20FewerVectorsNeedLessRoomElsewhereAndHideTheWholePhysicalTable) {
  const Device device = nvme();
  const MsixPlacement placement =
      *place_msix(device.shapes, device.msix, kPage, {.kind = Kind::Bar, .bar = 4}, 1);
  EXPECT_EQ(placement.layout.vectors, 1U);
  EXPECT_EQ(placement.layout.pba_offset, 16U);
  EXPECT_EQ(placement.hidden, (BarRange{0, 0x2000, 65 * 16}));
}

}  // namespace
}  // namespace passthru
