// SPDX-License-Identifier: MIT
// Which parts of a device's BARs are mapped into the guest, wherever the BARs are and move.
#include <gtest/gtest.h>

#include <random>
#include <tuple>

#include "tests/unit/mmap/bars_fixture.h"

namespace passthru {
namespace {

TEST_F(BarsTest, EveryPageButTheTablesAndThePendingBitsIsMapped) {
  make(FakeSpec::nvme());
  EXPECT_TRUE(mapper.all().empty()) << "nothing is in the guest before it is placed";
  ASSERT_TRUE(bars->place({kBase}));
  ASSERT_EQ(mapper.all().size(), 1U);
  EXPECT_EQ(mapper.all()[0].address, kBase);
  EXPECT_EQ(mapper.all()[0].size, 0x2000U);
  mapper.all()[0].memory[0x1008] = std::byte{0x5a};
  EXPECT_EQ(hardware->bar(0)[0x1008], std::byte{0x5a})
      << "the guest reaches the device's own doorbell";
}

TEST_F(BarsTest, WhatTheKernelRefusesToMapIsTrapped) {
  kernel.fail("mmap", ENOMEM);
  make(FakeSpec::nvme());
  ASSERT_TRUE(bars->place({kBase}));
  EXPECT_TRUE(mapper.all().empty());
  EXPECT_EQ(bars->spans(0)[0].span.kind, SpanKind::Refused);
  hardware->bar(0)[0] = std::byte{0x31};
  EXPECT_EQ(read(mmio, kBase, 1), 0x31U);
}

TEST_F(BarsTest, SparseAreasAreMappedExactlyAsGiven) {
  FakeSpec spec = FakeSpec::nvme();
  spec.bars[0].sparse = {{0, 0x1800}, {0x2000, 0x2000}};
  make(spec);
  ASSERT_TRUE(bars->place({kBase}));
  ASSERT_EQ(mapper.all().size(), 1U) << "the second area is the table's and the pending bits'";
  EXPECT_EQ(mapper.all()[0].size, 0x1000U);
}

TEST_F(BarsTest, AMoveTouchesNothingElse) {
  make(FakeSpec::e1000e());
  BarAddresses placement{kBase, kBase + 0x100000};
  ASSERT_TRUE(bars->place(placement));
  EXPECT_EQ(mapper.maps, 2U);
  placement[1] = kBase + 0x200000;
  ASSERT_TRUE(bars->place(placement));
  EXPECT_EQ(mapper.maps, 3U);
  EXPECT_EQ(mapper.unmaps, 1U);
  ASSERT_TRUE(bars->place(placement));
  EXPECT_EQ(mapper.maps, 3U);
  EXPECT_EQ(read(mmio, kBase + 0x100000, 4), 0xffffffffU);
}

class BarsRollback : public BarsTest, public testing::WithParamInterface<unsigned> {};

TEST_P(BarsRollback, LeavesEveryBarWhereItWas) {
  make(FakeSpec::e1000e());
  BarAddresses before{kBase, kBase + 0x100000, 0xc000, kBase + 0x180000};
  ASSERT_TRUE(bars->place(before));
  const std::vector<GuestMapping> mapped = mapper.all();
  mapper.calls_to_fail = GetParam();
  const BarAddresses after{kBase + 0x100000, kBase, 0xd000, kBase + 0x280000};
  const auto placed = bars->place(after);
  ASSERT_FALSE(placed);
  EXPECT_EQ(placed.error().code, ENOSPC);
  EXPECT_EQ(bars->placement(), before);
  EXPECT_EQ(mapper.all(), mapped);
  EXPECT_EQ(read(ports, 0xc000, 1), 0U);
  EXPECT_EQ(read(ports, 0xd000, 1), 0xffU);
  mapper.calls_to_fail = 0;
  ASSERT_TRUE(bars->place(after));
  EXPECT_EQ(mapper.all().size(), 4U);
  EXPECT_EQ(read(ports, 0xd000, 1), 0U);
}

INSTANTIATE_TEST_SUITE_P(AtEachCall, BarsRollback, testing::Values(1U, 2U, 3U, 4U));

TEST_F(BarsTest, ABarSmallerThanAPageIsMappedWhileItIsAloneInItsPage) {
  FakeSpec spec;
  spec.bars[0] = {.size = 256};
  spec.bars[1] = {.size = 256, .mappable = false};
  make(spec);
  ASSERT_TRUE(bars->place({kBase, kBase + kPage}));
  EXPECT_EQ(mapper.all().size(), 1U);
  EXPECT_EQ(mapper.all()[0].size, kPage);
  hardware->bar(1)[3] = std::byte{0x21};
  EXPECT_EQ(read(mmio, kBase + kPage + 3, 1), 0x21U);
  ASSERT_TRUE(bars->place({kBase, kBase + 0x800}));
  EXPECT_TRUE(mapper.all().empty()) << "another BAR moved into its page";
  EXPECT_EQ(read(mmio, kBase + 0x803, 1), 0x21U);
  ASSERT_TRUE(bars->place({kBase}));
  EXPECT_EQ(mapper.all().size(), 1U);
}

TEST_F(BarsTest, AnOverlayOutsideItsBarIsRefused) {
  make(FakeSpec::nvme());
  for (const BarOverlay& bad : std::vector<BarOverlay>{{0, 0x4000, 16, table},
                                                       {0, 0x3ff8, 16, table},
                                                       {0, 0, 0, table},
                                                       {0, 16, UINT64_MAX, table},
                                                       {1, 0, 16, table},
                                                       {6, 0, 16, table},
                                                       {7, 0, 16, table}}) {
    const auto made = Bars::create(device, placer(), config->bars(), {bad});
    ASSERT_FALSE(made);
    EXPECT_EQ(made.error().code, EINVAL);
  }
}

TEST_F(BarsTest, TheirEndLeavesNothingInTheGuestNorInTheKernel) {
  make(FakeSpec::e1000e());
  ASSERT_TRUE(bars->place({kBase, kBase + 0x100000, 0xc000, kBase + 0x180000}));
  bars.reset();
  EXPECT_TRUE(mapper.all().empty());
  EXPECT_EQ(read(ports, 0xc000, 1), 0xffU);
  EXPECT_EQ(table.use_count(), 1);
  EXPECT_EQ(kernel.mappings(), 0U);
  config.reset();
  EXPECT_EQ(device.use_count(), 1) << "no removed window keeps the device open";
}

TEST_F(BarsTest, NoMappingEverCoversAByteOfATablesPage) {
  std::mt19937_64 random(11);
  for (uint8_t round = 0; round < 60; ++round) {
    FakeSpec spec;
    spec.bdf = {0, 1, static_cast<uint8_t>(round / 8), static_cast<uint8_t>(round % 8)};
    spec.group = 100U + round;
    const uint64_t size = uint64_t{0x1000} << random() % 4;
    spec.bars[0] = {.size = size};
    spec.bars[1] = {.size = size};
    if (random() % 2 == 0) spec.bars[0].sparse = {{0, size}};
    const auto vectors = static_cast<unsigned>(random() % (size / 64)) + 1;
    spec.msix = {.vectors = vectors,
                 .table_offset = random() % ((size - vectors * 16) / 8 + 1) * 8,
                 .pba_bar = 1,
                 .pba_offset = random() % ((size - (vectors + 63) / 64 * 8) / 8 + 1) * 8,
                 .mappable = random() % 2 == 0};
    make(spec);
    ASSERT_TRUE(config->msix());
    for (int move = 0; move < 20; ++move) {
      const uint64_t a = kBase + random() % 64 * 0x400;
      const uint64_t b = kBase + random() % 64 * 0x400;
      ASSERT_TRUE(bars->place({a, b}));
      for (const GuestMapping& mapping : mapper.all()) {
        // Compares what the guest would reach with the memory itself: the device's bytes are
        // marked.
        for (const auto& [bar, offset, length] :
             {std::tuple{0U, spec.msix.table_offset, uint64_t{vectors} * 16},
              std::tuple{1U, spec.msix.pba_offset, uint64_t{(vectors + 63) / 64} * 8}}) {
          const uint64_t first = offset / kPage * kPage;
          const uint64_t last = (offset + length - 1) / kPage * kPage;
          for (uint64_t page = first; page <= last; page += kPage) {
            hardware->bar(bar)[page + 0xffc] = std::byte{0xa5};
            for (uint64_t at = 0; at < mapping.size; at += kPage) {
              ASSERT_NE(mapping.memory[at + 0xffc], std::byte{0xa5}) << "round " << int{round};
            }
            hardware->bar(bar)[page + 0xffc] = std::byte{0};
          }
        }
      }
    }
    bars.reset();
    config.reset();
    device.reset();
  }
}

}  // namespace
}  // namespace passthru
