// SPDX-License-Identifier: MIT
// What a VMM learns about a device's BARs: their shape, their place, and the memory of their parts.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/device/assigned_fixture.h"

namespace passthru {
namespace {

using ::testing::IsEmpty;

class BarSpans : public AssignedFixture {
 protected:
  void open(const FakeSpec& spec, const AssignOptions& options = {}) {
    hardware = &plug(spec);
    AssignedFixture::open(options);
  }
};

TEST_F(BarSpans, MappedPartsHaveMemoryAndAnOffsetInTheDevicesDescriptor) {
  FakeSpec spec = FakeSpec::e1000e();
  spec.bars[3].size = 0x8000;
  open(spec);
  const auto spans = device->bar_spans(3);
  ASSERT_EQ(spans.size(), 4U);
  const SpanKind kinds[] = {SpanKind::MsixTable, SpanKind::Mapped, SpanKind::MsixPba,
                            SpanKind::Mapped};
  uint64_t end = 0;
  for (size_t i = 0; i < spans.size(); ++i) {
    SCOPED_TRACE(i);
    EXPECT_EQ(spans[i].offset, end);
    EXPECT_EQ(spans[i].kind, kinds[i]);
    end += spans[i].size;
    if (spans[i].kind != SpanKind::Mapped) {
      EXPECT_EQ(spans[i].memory, nullptr);
      EXPECT_EQ(spans[i].fd, -1);
      continue;
    }
    ASSERT_NE(spans[i].memory, nullptr);
    spans[i].memory[8] = std::byte{0x5a};
    EXPECT_EQ(hardware->bar(3)[spans[i].offset + 8], std::byte{0x5a});
    const auto info = kernel->region_info(spans[i].fd, Region::Bar3);
    ASSERT_TRUE(info) << "the device's descriptor: " << info.error().message();
    EXPECT_EQ(spans[i].fd_offset, info->fd_offset + spans[i].offset);
    const auto mapped = kernel->map_region(spans[i].fd, spans[i].fd_offset, spans[i].size, true);
    ASSERT_TRUE(mapped) << mapped.error().message();
    EXPECT_EQ(mapped->address[8], std::byte{0x5a});
    kernel->unmap_region(*mapped);
  }
  EXPECT_EQ(end, 0x8000U);
}

TEST_F(BarSpans, PartOfASparseAreaHasItsOwnOffset) {
  FakeSpec spec = FakeSpec::nvme();
  spec.bars[0].size = 0x8000;
  spec.bars[0].sparse = {{0, 0x8000}};
  open(spec);
  const auto spans = device->bar_spans(0);
  ASSERT_EQ(spans.size(), 4U);
  const BarSpanMemory& last = spans[3];
  EXPECT_EQ(last.offset, 0x4000U);
  ASSERT_NE(last.memory, nullptr);
  EXPECT_EQ(last.memory - spans[0].memory, 0x4000)
      << "one mapping, exactly as the kernel offers it";
  EXPECT_EQ(last.fd_offset - spans[0].fd_offset, 0x4000U);
}

TEST_F(BarSpans, PortsAndRomHaveNoMemory) {
  open(FakeSpec::e1000e());
  for (const auto& [bar, kind] : {std::pair{2U, SpanKind::IoPorts}, std::pair{6U, SpanKind::Rom}}) {
    const auto spans = device->bar_spans(bar);
    ASSERT_EQ(spans.size(), 1U);
    EXPECT_EQ(spans[0].kind, kind);
    EXPECT_EQ(spans[0].memory, nullptr);
  }
}

TEST_F(BarSpans, ABarThatIsNotThereHasNoParts) {
  open(FakeSpec::nvme());
  for (const unsigned bar : {1U, 2U, kRomBar, kBars, UINT32_MAX}) {
    EXPECT_THAT(device->bar_spans(bar), IsEmpty());
    EXPECT_EQ(device->bar_info(bar).size, 0U);
  }
}

TEST_F(BarSpans, ABarHasTheShapeAndThePlaceThatTheGuestSees) {
  for (const Placement placement : {Placement::Library, Placement::Vmm}) {
    FakeSpec spec = FakeSpec::nvme();
    spec.bars[0].prefetchable = true;
    spec.bars[2] = {.size = 32, .io = true, .mappable = false};
    if (hardware == nullptr) hardware = &plug(spec);
    AssignedFixture::open({.placement = placement});
    BarInspection info = device->bar_info(0);
    EXPECT_EQ(info.size, 0x4000U);
    EXPECT_TRUE(info.is_64bit && info.prefetchable && !info.io && !info.decoded);
    EXPECT_TRUE(device->bar_info(2).io);
    place(kWindow);
    info = device->bar_info(0);
    EXPECT_TRUE(info.decoded);
    EXPECT_EQ(info.guest_address, kWindow);
    device.reset();
  }
}

TEST_F(BarSpans, ADetachedDeviceHasNone) {
  open(FakeSpec::nvme());
  place(kWindow);
  device->detach();
  EXPECT_THAT(device->bar_spans(0), IsEmpty());
  EXPECT_EQ(device->bar_info(0).size, 0U);
  EXPECT_FALSE(device->bar_info(0).decoded);
}

}  // namespace
}  // namespace passthru
