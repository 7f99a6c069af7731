// SPDX-License-Identifier: MIT
// The number of vectors that a guest finds in its device.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "tests/unit/device/assigned_fixture.h"

namespace passthru {
namespace {

using ::testing::ElementsAre;

class AssignedVectors : public AssignedFixture {
 protected:
  void open_drive(unsigned vectors, const AssignOptions& options) {
    FakeSpec spec = FakeSpec::nvme();
    spec.msix.vectors = vectors;
    hardware = &plug(spec);
    open(options);
    place(kWindow);
    enable_msix();
  }
  /// Returns one more than the last vector that any SET_IRQS of MSI-X named.
  uint32_t vectors_bound() const {
    uint32_t end = 0;
    for (const FakeCall& call : kernel->calls("VFIO_DEVICE_SET_IRQS")) {
      if (call.index == static_cast<uint32_t>(Irq::Msix)) {
        end = std::max(end, call.start + call.count);
      }
    }
    return end;
  }
};

TEST_F(AssignedVectors, Case20AGuestFindsAsManyVectorsAsTheUserWants) {
  open_drive(65, {.max_vectors = 8});
  EXPECT_EQ(device->config_read(kMsixControl, 2) & 0x7ff, 7U);
  for (unsigned vector = 0; vector < 8; ++vector) enable_vector(vector);
  host.delivered();  // the kernel allocates more vectors, and each enabled one gets a signal
  EXPECT_EQ(hardware->fire(7), Fired::Delivered);
  EXPECT_THAT(host.delivered(), ElementsAre(message_of(7)));
  EXPECT_LE(vectors_bound(), 8U);
  EXPECT_EQ(device->inspect().vectors.size(), 8U);
}

TEST_F(AssignedVectors, Case20TheRestOfTheDevicesTableIsOutOfReach) {
  open_drive(65, {.max_vectors = 8});
  enable_vector(0);
  const PhysicalEntry before = hardware->entry(8);
  enable_vector(8);
  EXPECT_EQ(hardware->entry(8), before);
  EXPECT_EQ(mmio_read(kWindow + 0x2000 + 8 * 16), UINT32_MAX);
  EXPECT_FALSE(hardware->bound(8));
  EXPECT_FALSE(mapped(kWindow + 0x2000 + 8 * 16));
}

TEST_F(AssignedVectors, Case20MoreVectorsThanTheDeviceHasAreNoMore) {
  open_drive(5, {.max_vectors = 64});
  EXPECT_EQ(device->config_read(kMsixControl, 2) & 0x7ff, 4U);
}

TEST_F(AssignedVectors, Case20TheLimitHoldsForMsiToo) {
  FakeSpec spec = FakeSpec::nvme();
  spec.msi_vectors = 16;
  hardware = &plug(spec);
  open({.max_vectors = 7});
  constexpr uint32_t kCapable = 0x0e;
  EXPECT_EQ(device->config_read(FakeCapability::kMsi + 2, 2) & kCapable, 2U << 1)
      << "MSI vectors come in powers of two";
}

TEST_F(AssignedVectors, Case21ATableOfOneVectorDelivers) {
  open_drive(1, {});
  EXPECT_EQ(device->config_read(kMsixControl, 2) & 0x7ff, 0U);
  enable_vector(0);
  EXPECT_EQ(hardware->fire(0), Fired::Delivered);
  EXPECT_THAT(host.delivered(), ElementsAre(message_of(0)));
  mmio_write(kWindow + 0x2000 + 12, 1);
  hardware->fire(0);
  EXPECT_EQ(mmio_read(kWindow + 0x3000), 1U) << "pending";
  mmio_write(kWindow + 0x2000 + 12, 0);
  EXPECT_THAT(host.delivered(), ElementsAre(message_of(0)));
}

}  // namespace
}  // namespace passthru
