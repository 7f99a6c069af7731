// SPDX-License-Identifier: MIT
// Trapped accesses to BARs: which target answers, how the kernel is called, and what is counted.
#include <gtest/gtest.h>

#include <atomic>
#include <cstring>
#include <thread>

#include "tests/unit/mmap/bars_fixture.h"

namespace passthru {
namespace {

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

TEST_F(BarsTest, PortsAreComparedWithTheLimitAndNeverMaskedIntoIt) {
  make(FakeSpec::e1000e());
  hardware->bar(2)[4] = std::byte{0x12};
  BarAddresses placement{};
  placement[2] = 0xc000;
  ASSERT_TRUE(bars->place(placement));
  EXPECT_EQ(read(ports, 0xc004, 4), 0x12U);
  placement[2] = 0x1c000;
  ASSERT_TRUE(bars->place(placement));
  EXPECT_EQ(read(ports, 0xc004, 4), 0xffffffffU);
  placement[2] = 0xfff0;
  ASSERT_TRUE(bars->place(placement)) << "its end is beyond the limit: the guest cannot reach it";
  EXPECT_EQ(read(ports, 0xfff4, 4), 0xffffffffU);
  placement[2] = 0xffe0;
  ASSERT_TRUE(bars->place(placement));
  EXPECT_EQ(read(ports, 0xffe4, 1), 0x12U);
  EXPECT_EQ(bars->placement()[2], 0xffe0U);
}

TEST_F(BarsTest, TheRomIsReadAndNotWritten) {
  make(FakeSpec::e1000e());
  BarAddresses placement{};
  placement[kRomBar] = kBase;
  ASSERT_TRUE(bars->place(placement));
  EXPECT_TRUE(write(mmio, kBase, 4, 0));
  EXPECT_EQ(read(mmio, kBase + 0x3fffc, 4), 0x5a5a5a5aU);
  EXPECT_EQ(bars->failed_accesses(), 0U);
  EXPECT_TRUE(mapper.all().empty());
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

}  // namespace
}  // namespace passthru
