// SPDX-License-Identifier: MIT
// Tests that the two ways to inspect a device's MSI-X table from outside work on a real kernel, and
// give the same result.
#include <gtest/gtest.h>

#include "inspect/msix_snapshot.h"
#include "tests/hil/bound_devices.h"
#include "vfio/device.h"
#include "vfio/linux_kernel.h"

namespace passthru {
namespace {

class Snapshot : public ::testing::TestWithParam<BoundDevice> {
 protected:
  void SetUp() override {
    const auto function = sysfs.function(GetParam().bdf);
    ASSERT_TRUE(function) << function.error().message();
    const auto found = find_msix(function->config);
    if (!found) GTEST_SKIP() << GetParam().bdf.str() << " has no MSI-X";
    layout = *found;
  }

  const Sysfs sysfs;
  LinuxKernel kernel;
  MsixLayout layout;
};

TEST_P(Snapshot, AFreeDeviceShowsEveryVectorMasked) {
  const auto snapshot = snapshot_msix(kernel, sysfs, GetParam().bdf);
  ASSERT_TRUE(snapshot) << snapshot.error().message();
  EXPECT_EQ(snapshot->source, MsixSnapshot::Source::Vfio);
  EXPECT_EQ(snapshot->layout, layout);
  ASSERT_EQ(snapshot->vectors.size(), layout.vectors);
  for (const MsixSnapshot::Vector& vector : snapshot->vectors) {
    EXPECT_TRUE(vector.entry.masked());
    EXPECT_FALSE(vector.pending);
  }
  EXPECT_EQ(snapshot->control & PCI_MSIX_FLAGS_ENABLE, 0);
}

TEST_P(Snapshot, ADeviceInUseShowsTheHostsMessagesThroughSysfs) {
  DmaSpace dma(kernel);
  const auto device = VfioDevice::open(kernel, dma, GetParam().door());
  ASSERT_TRUE(device) << device.error().message();
  const Fd eventfd = kernel.make_eventfd().value();
  const int bound[] = {eventfd.get()};
  const auto irqs = (*device)->bind_irqs(Irq::Msix, 0, bound);
  ASSERT_TRUE(irqs) << irqs.error().message();

  const auto snapshot = snapshot_msix(kernel, sysfs, GetParam().bdf);
  if (!snapshot && snapshot.error().code == EBUSY) {
    GTEST_SKIP() << "this kernel needs iomem=relaxed: " << snapshot.error().message();
  }
  ASSERT_TRUE(snapshot) << snapshot.error().message();
  EXPECT_EQ(snapshot->source, MsixSnapshot::Source::Sysfs);
  EXPECT_NE(snapshot->control & PCI_MSIX_FLAGS_ENABLE, 0);
  EXPECT_FALSE(snapshot->vectors[0].entry.masked());
  EXPECT_EQ(snapshot->vectors[0].entry.address_low & 0xfff0'0000, 0xfee0'0000) << "x86's MSI range";
}

GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(Snapshot);
INSTANTIATE_TEST_SUITE_P(Linux, Snapshot, testing::ValuesIn(bound_devices()),
                         [](const auto& each) { return each.param.name(); });

}  // namespace
}  // namespace passthru
