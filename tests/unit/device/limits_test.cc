// SPDX-License-Identifier: MIT
// Tests of a device that needs more than the host has. The vectors that fit work, each other vector
// is reported once, and no other device is affected.
#include <gmock/gmock.h>

#include <algorithm>

#include "tests/unit/device/assigned_fixture.h"

namespace passthru {
namespace {

using ::testing::Each;
using ::testing::Field;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr unsigned kMaxVectors = 2048;  // the maximum of a device (PCI 3.0, 6.8.2.3)
constexpr uint64_t kLargeTable = 0x10000;

class LimitsTest : public AssignedFixture {
 protected:
  static FakeSpec with_all_vectors() {
    FakeSpec spec = FakeSpec::nvme();
    spec.bars[0].size = 0x20000;
    spec.msix.vectors = kMaxVectors;
    spec.msix.table_offset = kLargeTable;
    spec.msix.pba_offset = kLargeTable + kMaxVectors * 16;
    return spec;
  }
  /// A CPU has fewer interrupt numbers than the device has vectors, so the destination differs as
  /// well.
  void unmask(unsigned vector) {
    const uint64_t entry = kWindow + kLargeTable + uint64_t{vector} * 16;
    mmio_write(entry, 0xfee0'0000 | vector / 128 << 12);
    mmio_write(entry + 8, 0x40 + vector % 128);
    mmio_write(entry + 12, 0);
  }
  /// Acts like a driver that writes the table first and then enables everything at once.
  void enable_all(unsigned vectors = kMaxVectors) {
    for (unsigned vector = 0; vector < vectors; ++vector) unmask(vector);
    enable_msix();
  }
  [[nodiscard]] std::vector<Event> failures() const {
    std::vector<Event> found;
    std::copy_if(host.events.begin(), host.events.end(), std::back_inserter(found),
                 [](const Event& event) { return event.kind == Event::Kind::VectorFailed; });
    return found;
  }
  void mask_and_unmask(unsigned vector) {
    const uint64_t control = kWindow + kLargeTable + uint64_t{vector} * 16 + 12;
    mmio_write(control, 1);
    mmio_write(control, 0);
  }
  void SetUp() override {
    hardware = &plug(with_all_vectors());
    open();
    place(kWindow);
  }
};

TEST_F(LimitsTest, AllVectorsOfTheLargestDeviceWorkTogether) {
  enable_all();
  EXPECT_EQ(host.armed(), kMaxVectors);
  EXPECT_EQ(kernel->calls("VFIO_DEVICE_SET_IRQS").size(), 2U) << "INTx off, all vectors on";
  EXPECT_EQ(hardware->fire(kMaxVectors - 1), Fired::Delivered);
}

TEST_F(LimitsTest, WithoutARouteAVectorLatchesUntilThereIsOne) {
  host.max_routes = 2000;
  enable_all();
  EXPECT_EQ(host.armed(), 2000U);
  EXPECT_EQ(failures().size(), kMaxVectors - 2000U);
  EXPECT_THAT(failures(), Each(Field(&Event::detail, HasSubstr("create a route"))));
  EXPECT_EQ(hardware->fire(1999), Fired::Delivered);
  EXPECT_EQ(hardware->fire(2047), Fired::Delivered) << "the latch takes the signal";
  EXPECT_EQ(host.delivered().size(), 1U);

  host.events.clear();
  mask_and_unmask(2047);
  EXPECT_THAT(host.events, IsEmpty()) << "the failure was reported already";
  host.max_routes = SIZE_MAX;  // as if another device had gone
  mask_and_unmask(2047);
  EXPECT_EQ(host.armed(), 2001U);
  EXPECT_EQ(host.delivered().size(), 1U) << "the latched interrupt";
}

TEST_F(LimitsTest, TheHostsVectorsThatThereAreAreUsed) {
  FakeSpec spec = with_all_vectors();
  spec.bdf.device = 7;
  spec.group = 7;
  spec.msix.available = 100;
  device.reset();
  hardware = &plug(spec);
  open();
  place(kWindow);
  enable_all(128);
  EXPECT_EQ(host.armed(), 100U);
  EXPECT_EQ(failures().size(), 28U);
  EXPECT_THAT(failures(), Each(Field(&Event::detail, HasSubstr("VFIO_DEVICE_SET_IRQS"))));
  EXPECT_EQ(hardware->fire(99), Fired::Delivered);
}

TEST_F(LimitsTest, WithoutADescriptorNothingOfTheRequestIsBoundAndItIsTold) {
  enable_all(2);
  ASSERT_EQ(host.armed(), 2U);
  kernel->fail("eventfd", EMFILE);
  unmask(2);
  EXPECT_EQ(host.armed(), 2U);
  ASSERT_EQ(failures().size(), 1U);
  EXPECT_THAT(failures()[0].detail, HasSubstr("vector 2: "));
  EXPECT_EQ(hardware->fire(1), Fired::Delivered) << "the other vectors still work";
  mask_and_unmask(2);
  EXPECT_EQ(host.armed(), 3U);
}

TEST_F(LimitsTest, ASecondDeviceThatFindsNoRouteLeavesTheFirstAlone) {
  enable_all();
  host.max_routes = host.routes();
  const auto first = std::move(device);
  hardware = &plug(FakeSpec::nvme({.device = 8}, 8));
  auto opened = AssignedDevice::open(
      domain, {.device = hardware->spec().bdf, .guest_address = {.device = 6}});
  ASSERT_TRUE(opened);
  device = std::move(*opened);
  place(kElsewhere);
  enable_msix();
  enable_vector(0, kElsewhere + 0x2000);
  EXPECT_EQ(failures().size(), 1U);
  EXPECT_EQ(host.armed(), kMaxVectors);
  EXPECT_EQ(host.routes(), kMaxVectors);
}

}  // namespace
}  // namespace passthru
