// SPDX-License-Identifier: MIT
#include "mmap/bars.h"

#include <gtest/gtest.h>

#include <atomic>
#include <cstring>
#include <random>
#include <string>
#include <thread>

#include "mmap/config_space.h"
#include "tests/fakes/fake_kernel.h"
#include "tests/unit/fake_mapper.h"

namespace passthru {
namespace {

constexpr uint64_t kPage = 4096;

/// Stands in for the MSI-X table: says where it was accessed.
class Table : public AccessTarget {
 public:
  void read(uint64_t offset, std::span<std::byte> data) override {
    log += "r" + std::to_string(offset) + "+" + std::to_string(data.size()) + " ";
    std::fill(data.begin(), data.end(), std::byte{0x77});
  }
  void write(uint64_t offset, std::span<const std::byte> data) override {
    log += "w" + std::to_string(offset) + "+" + std::to_string(data.size()) + " ";
  }
  std::string log;
};

class BarsTest : public testing::Test {
 protected:
  /// Opens the device and lays out its BARs, with the table and pending bits overlaid.
  void make(const FakeSpec& spec, const BarsOptions& options = {}) {
    hardware = &kernel.add(spec);
    auto opened = VfioDevice::open(kernel, dma, spec.group, spec.bdf);
    ASSERT_TRUE(opened) << opened.error().message();
    device = std::move(*opened);
    config = std::move(*ConfigSpace::create(device));
    std::vector<BarOverlay> overlays;
    if (const auto& msix = config->msix()) {
      overlays.push_back(
          {msix->table_bar, msix->table_offset, msix->table_size(), table, SpanKind::MsixTable});
      overlays.push_back(
          {msix->pba_bar, msix->pba_offset, msix->pba_size(), pba, SpanKind::MsixPba});
    }
    auto made = Bars::create(device, mmio, ports, config->bars(), overlays, options);
    ASSERT_TRUE(made) << made.error().message();
    bars = std::move(*made);
    kernel.forget_calls();
  }

  uint64_t read(AddressSpace& space, uint64_t address, unsigned width) {
    std::array<std::byte, 8> bytes{};
    space.read(address, std::span(bytes).first(width));
    uint64_t value = 0;
    std::memcpy(&value, bytes.data(), sizeof value);
    return value;
  }
  bool write(AddressSpace& space, uint64_t address, unsigned width, uint64_t value) {
    return space.write(address, std::as_bytes(std::span(&value, 1)).first(width));
  }
  /// Offsets and sizes of the accesses that the kernel saw.
  std::string accesses(std::string_view call) {
    std::string log;
    for (const FakeCall& made : kernel.calls(call)) {
      log += std::to_string(made.offset & 0xffffff) + "+" + std::to_string(made.size) + " ";
    }
    return log;
  }

  FakeKernel kernel;
  FakeMapper mapper;
  AddressSpace mmio{uint64_t{1} << 40, &mapper};
  AddressSpace ports{1 << 16, nullptr};
  DmaSpace dma{kernel};
  std::shared_ptr<Table> table = std::make_shared<Table>();
  std::shared_ptr<Table> pba = std::make_shared<Table>();
  FakeDevice* hardware = nullptr;
  std::shared_ptr<VfioDevice> device;
  std::unique_ptr<ConfigSpace> config;
  std::unique_ptr<Bars> bars;
};

constexpr uint64_t kBase = 0x80000000;

TEST_F(BarsTest, EveryPageButTheTablesAndThePendingBitsIsMapped) {
  make(FakeSpec::nvme());
  EXPECT_TRUE(mapper.all().empty()) << "nothing is in the guest before it is placed";
  ASSERT_TRUE(bars->place({kBase}));
  ASSERT_EQ(mapper.all().size(), 1U);
  EXPECT_EQ(mapper.all()[0].address, kBase);
  EXPECT_EQ(mapper.all()[0].size, 0x2000U);
  mapper.all()[0].memory[0x1008] = std::byte{0x5a};
  EXPECT_EQ(hardware->bar(0)[0x1008], std::byte{0x5a}) << "the doorbell is the device's own";
}

TEST_F(BarsTest, TheTableAnswersItsBytesAndTheDeviceThoseBesideIt) {
  make(FakeSpec::nvme());
  ASSERT_TRUE(bars->place({kBase}));
  hardware->bar(0)[0x2000 + 65 * 16] = std::byte{0x42};
  EXPECT_EQ(read(mmio, kBase + 0x2000 + 16, 4), 0x77777777U);
  EXPECT_TRUE(write(mmio, kBase + 0x3008, 8, 1));
  EXPECT_EQ(read(mmio, kBase + 0x2000 + 65 * 16, 1), 0x42U);
  EXPECT_EQ(read(mmio, kBase + 0x2000 + 65 * 16 - 2, 4), 0x00427777U) << "across the table's end";
  EXPECT_EQ(table->log, "r16+4 r1038+2 ");
  EXPECT_EQ(pba->log, "w8+8 ");
}

TEST_F(BarsTest, TrappedAccessesAreCountedBySpan) {
  make(FakeSpec::nvme());
  ASSERT_TRUE(bars->place({kBase}));
  read(mmio, kBase + 0x2000, 4);
  read(mmio, kBase + 0x2800, 4);
  write(mmio, kBase + 0x3000, 4, 0);
  const auto spans = bars->spans(0);
  ASSERT_EQ(spans.size(), 3U);
  EXPECT_TRUE(spans[0].span.mapped());
  EXPECT_EQ(spans[0].trapped_reads + spans[0].trapped_writes, 0U);
  EXPECT_EQ(spans[1].span.kind, SpanKind::MsixTable);
  EXPECT_EQ(spans[1].trapped_reads, 2U);
  EXPECT_EQ(spans[2].span.kind, SpanKind::MsixPba);
  EXPECT_EQ(spans[2].trapped_writes, 1U);
  EXPECT_TRUE(bars->spans(1).empty());
}

TEST_F(BarsTest, ATrappedAccessIsSplitIntoNaturallyAlignedOnes) {
  make(FakeSpec::nvme(), {.excluded = 1});
  ASSERT_TRUE(bars->place({kBase}));
  EXPECT_TRUE(mapper.all().empty());
  read(mmio, kBase + 8, 8);
  read(mmio, kBase + 4, 8);
  read(mmio, kBase + 1, 4);
  EXPECT_EQ(accesses("pread"), "8+8 4+4 8+4 1+1 2+2 4+1 ");
  write(mmio, kBase + 0x1006, 8, 0x8877665544332211);
  EXPECT_EQ(accesses("pwrite"), "4102+2 4104+4 4108+2 ");
  EXPECT_EQ(read(mmio, kBase + 0x1006, 8), 0x8877665544332211U);
}

TEST_F(BarsTest, WhereTheKernelTakesNoEightBytesTheyAreTwoTimesFourFromThenOn) {
  make(FakeSpec::nvme(), {.excluded = 1});
  ASSERT_TRUE(bars->place({kBase}));
  kernel.fail("pread", EINVAL);
  hardware->bar(0)[15] = std::byte{0x99};
  EXPECT_EQ(read(mmio, kBase + 8, 8), 0x9900000000000000U);
  read(mmio, kBase + 8, 8);
  EXPECT_EQ(accesses("pread"), "8+8 8+4 12+4 8+4 12+4 ");
  EXPECT_EQ(bars->failed_accesses(), 0U);
}

TEST_F(BarsTest, AnAccessThatTheKernelRefusesReadsOnesAndIsCounted) {
  make(FakeSpec::nvme(), {.excluded = 1});
  ASSERT_TRUE(bars->place({kBase}));
  kernel.fail("pread", EIO);
  EXPECT_EQ(read(mmio, kBase, 4), 0xffffffffU);
  kernel.fail("pwrite", EIO);
  EXPECT_TRUE(write(mmio, kBase, 4, 1));
  EXPECT_EQ(bars->failed_accesses(), 2U);
  EXPECT_EQ(read(mmio, kBase, 4), 0U);
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

TEST_F(BarsTest, PortsAreComparedWithTheLimitAndNeverMaskedIntoIt) {
  make(FakeSpec::e1000e());
  hardware->bar(2)[4] = std::byte{0x12};
  Placement placement{};
  placement[2] = 0xc000;
  ASSERT_TRUE(bars->place(placement));
  EXPECT_EQ(read(ports, 0xc004, 4), 0x12U);
  placement[2] = 0x1c000;
  ASSERT_TRUE(bars->place(placement));
  EXPECT_EQ(read(ports, 0xc004, 4), 0xffffffffU);
  placement[2] = 0xfff0;
  ASSERT_TRUE(bars->place(placement)) << "its end is beyond the limit: reachable from nowhere";
  EXPECT_EQ(read(ports, 0xfff4, 4), 0xffffffffU);
  placement[2] = 0xffe0;
  ASSERT_TRUE(bars->place(placement));
  EXPECT_EQ(read(ports, 0xffe4, 1), 0x12U);
  EXPECT_EQ(bars->placement()[2], 0xffe0U);
}

TEST_F(BarsTest, TheRomIsReadAndNotWritten) {
  make(FakeSpec::e1000e());
  Placement placement{};
  placement[kRomBar] = kBase;
  ASSERT_TRUE(bars->place(placement));
  EXPECT_TRUE(write(mmio, kBase, 4, 0));
  EXPECT_EQ(read(mmio, kBase + 0x3fffc, 4), 0x5a5a5a5aU);
  EXPECT_EQ(bars->failed_accesses(), 0U);
  EXPECT_TRUE(mapper.all().empty());
}

TEST_F(BarsTest, AMoveTouchesNothingElse) {
  make(FakeSpec::e1000e());
  Placement placement{kBase, kBase + 0x100000};
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
  Placement before{kBase, kBase + 0x100000, 0xc000, kBase + 0x180000};
  ASSERT_TRUE(bars->place(before));
  const std::vector<GuestMapping> mapped = mapper.all();
  mapper.calls_to_fail = GetParam();
  const Placement after{kBase + 0x100000, kBase, 0xd000, kBase + 0x280000};
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
  EXPECT_TRUE(mapper.all().empty()) << "a neighbour moved into its page";
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
    const auto made = Bars::create(device, mmio, ports, config->bars(), {bad});
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
  EXPECT_EQ(device.use_count(), 1) << "no window that is gone keeps the device open";
}

TEST_F(BarsTest, AReaderBesideAMoverSeesTheRegisterOrAllOnes) {
  make(FakeSpec::nvme(), {.excluded = 1});
  std::memset(hardware->bar(0).data(), 0x3c, kPage);
  std::atomic<bool> stop{false};
  std::atomic<unsigned> hits{0};
  std::atomic<unsigned> wrong{0};
  const auto vcpu = [&] {
    for (uint64_t at = 0; !stop; at = (at + 4) % kPage) {
      const uint64_t value = read(mmio, kBase + at, 4);
      if (value == 0x3c3c3c3c) {
        ++hits;
      } else if (value != 0xffffffff) {
        ++wrong;
      }
      write(mmio, kBase + at, 4, 0x3c3c3c3c);
    }
  };
  std::thread first(vcpu);
  std::thread second(vcpu);
  for (int turn = 0; turn < 500 || hits < 100; ++turn) {
    ASSERT_TRUE(bars->place({kBase}));
    ASSERT_TRUE(bars->place({kBase + 0x800}));
    ASSERT_TRUE(bars->place({}));
  }
  stop = true;
  first.join();
  second.join();
  EXPECT_EQ(wrong, 0U);
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
        // What the guest would reach, found by the memory itself: the device's bytes are marked.
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
