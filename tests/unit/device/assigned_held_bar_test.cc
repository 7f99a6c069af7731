// SPDX-License-Identifier: MIT
// Devices with a BAR that something else in the host has: the kernel refuses every access.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cerrno>

#include "tests/unit/device/assigned_fixture.h"

namespace passthru {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

class AssignedHeldBar : public AssignedFixture {
 protected:
  void open_held() {
    hardware = &plug(FakeSpec::e1000e());
    hardware->hold_bar(1);
    open();
  }
  [[nodiscard]] SpanInspection first_span(unsigned bar) const {
    return device->bar_info(bar).spans.at(0);
  }
};

TEST_F(AssignedHeldBar, Case2TheGuestReadsOnesAndTheErrnoIsKept) {
  open_held();
  place(kWindow, 1);
  EXPECT_FALSE(mapped(kWindow));
  EXPECT_EQ(mmio_read(kWindow), UINT32_MAX);
  mmio_write(kWindow, 1);
  EXPECT_EQ(first_span(1).kind, SpanKind::Refused);
  EXPECT_EQ(first_span(1).error, EBUSY);
  EXPECT_EQ(first_span(0).error, 0);
}

TEST_F(AssignedHeldBar, Case2ItIsReportedOnce) {
  open_held();
  place(kWindow, 1);
  for (int i = 0; i < 100; ++i) mmio_read(kWindow);
  ASSERT_THAT(host.events, SizeIs(1));
  EXPECT_EQ(host.events[0].kind, Event::Kind::DeviceLimited);
  EXPECT_THAT(host.events[0].detail, HasSubstr("something else in the host has BAR 1"));
}

TEST_F(AssignedHeldBar, Case2TheUserOfTheMemoryIsNamed) {
  hardware = &plug(FakeSpec::e1000e());
  hardware->hold_bar(1);
  sysfs.put("bus/pci/devices/0000:00:03.0/resource",
            "0x00000000e0000000 0x00000000e001ffff 0x0000000000040200\n"
            "0x00000000e0020000 0x00000000e003ffff 0x0000000000040200\n");
  kernel->iomem =
      "e0000000-e001ffff : 0000:00:03.0\n"
      "e0020000-e003ffff : 0000:00:03.0\n"
      "  e0020000-e002ffff : BOOTFB\n";
  open();
  ASSERT_THAT(host.events, SizeIs(1));
  EXPECT_THAT(host.events[0].detail, HasSubstr("'BOOTFB' of the host has BAR 1"));
}

TEST_F(AssignedHeldBar, Case2AnAccessThatIsRefusedLaterIsKeptToo) {
  hardware = &plug(FakeSpec::e1000e());
  open({.unmapped_bars = 0b10});
  hardware->hold_bar(1);
  place(kWindow, 1);
  EXPECT_EQ(first_span(1).error, 0);
  EXPECT_EQ(mmio_read(kWindow), UINT32_MAX);
  EXPECT_EQ(first_span(1).error, EBUSY);
  EXPECT_EQ(first_span(1).kind, SpanKind::Excluded);
}

TEST_F(AssignedHeldBar, Case2AMappingThatFailsForAnotherReasonWorksByExits) {
  hardware = &plug(FakeSpec::nvme());
  auto opened = try_open();
  ASSERT_TRUE(opened);
  EXPECT_THAT(host.events, IsEmpty());
  opened->reset();
  kernel->fail("mmap", ENOMEM, 2);  // the first is the MSI-X table
  open();
  ASSERT_THAT(host.events, SizeIs(1));
  EXPECT_THAT(host.events[0].detail, HasSubstr("cannot map BAR 0 (Cannot allocate memory)"));
  place(kWindow);
  mmio_write(kWindow + 0x1000, 5);
  EXPECT_EQ(mmio_read(kWindow + 0x1000), 5U);
}

TEST(TrapReason, Case2SaysWhichErrorTheKernelGave) {
  EXPECT_EQ(trap_reason(SpanKind::Refused, EBUSY),
            "the kernel refused to map it: Device or resource busy");
  EXPECT_EQ(trap_reason(SpanKind::Excluded, EBUSY),
            "the user excluded this BAR from mapping; the kernel refuses accesses: Device or "
            "resource busy");
  EXPECT_EQ(trap_reason(SpanKind::Rom, 0), trap_reason(SpanKind::Rom));
}

}  // namespace
}  // namespace passthru
