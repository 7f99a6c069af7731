// SPDX-License-Identifier: MIT
// Tests that interrupts survive an unannounced reset, on real VFIO. The tests damage the physical
// table through sysfs, never through the code under test.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/hil/msix_on_vfio.h"
#include "tests/hil/reopened_device.h"

namespace passthru {
namespace {

using ::testing::ElementsAre;

constexpr unsigned kMaxVectors = 4;

class Healing : public MsixOnVfio {
 protected:
  void SetUp() override {
    MsixOnVfio::SetUp();
    if (IsSkipped() || HasFatalFailure()) return;
    door = std::make_unique<SecondDoor>(GetParam().bdf, layout);
    if (!door->open()) GTEST_SKIP() << "sysfs does not map the BAR. Boot with iomem=relaxed";
    vectors = std::min(kMaxVectors, layout.vectors);
    enable(vectors);
  }
  void mask(unsigned vector, bool masked) { put32(vector * 16 + 12, masked ? 1 : 0); }
  std::vector<MsixEntry> entries() {
    std::vector<MsixEntry> all;
    for (unsigned vector = 0; vector < vectors; ++vector) all.push_back(door->entry(vector));
    return all;
  }
  uint16_t physical_control() {
    uint16_t control = 0;
    auto read = device->read(Region::Config, layout.capability + 2U,
                             std::as_writable_bytes(std::span{&control, 1}));
    EXPECT_TRUE(read);
    return control & (PCI_MSIX_FLAGS_ENABLE | PCI_MSIX_FLAGS_MASKALL);
  }
  /// Checks that the kernel's own loopback reaches the guest with the vector's message.
  void expect_delivery(unsigned vector) {
    signal(vector, 1);
    EXPECT_THAT(host.delivered(), ElementsAre(message_of(vector)));
  }

  std::unique_ptr<SecondDoor> door;
  unsigned vectors = 0;
};

TEST_P(Healing, ASoundDeviceIsLeftAlone) {
  const auto before = entries();
  for (const MsixEntry& entry : before) EXPECT_NE(entry.address_low, 0U);
  EXPECT_EQ(*msix->audit(), 0U);
  EXPECT_EQ(entries(), before);
  expect_delivery(0);
}

TEST_P(Healing, AnAuditRestoresTheEntryThatWasClearedAndItsInterruptIsNotLost) {
  const auto before = entries();
  door->zero(1);
  ASSERT_NE(entries(), before);
  EXPECT_EQ(*msix->audit(), 1U);
  EXPECT_EQ(entries(), before);
  EXPECT_THAT(host.delivered(), ElementsAre(message_of(1)));
  expect_delivery(1);
}

TEST_P(Healing, AnAuditRestoresAWholeTable) {
  const auto before = entries();
  for (unsigned vector = 0; vector < vectors; ++vector) door->zero(vector);
  EXPECT_EQ(*msix->audit(), vectors);
  EXPECT_EQ(entries(), before);
}

TEST_P(Healing, AClearedEntryIsRestoredBeforeItsVectorIsLive) {
  const auto before = entries();
  mask(0, true);
  door->zero(0);
  mask(0, false);
  EXPECT_EQ(entries(), before);
  EXPECT_EQ(restored, 1U);
  EXPECT_THAT(host.delivered(), ElementsAre(message_of(0)));
  expect_delivery(0);
}

TEST_P(Healing, MaskingASoundVectorCostsNoCallOfTheKernel) {
  const uint64_t before = msix->counters().set_irqs_calls;
  for (int i = 0; i < 1000; ++i) {
    mask(0, true);
    mask(0, false);
  }
  EXPECT_EQ(msix->counters().set_irqs_calls, before);
  EXPECT_EQ(restored, 0U);
}

/// The same for devices with a function-level reset.
class HealingOfAReset : public Healing {};

TEST_P(HealingOfAReset, AFunctionLevelResetBehindVfioIsHealedWithTheEnableBit) {
  const auto before = entries();
  GetParam().reset_behind_vfio();
  ASSERT_EQ(physical_control(), 0U);
  EXPECT_EQ(*msix->audit(), vectors);
  EXPECT_EQ(physical_control(), PCI_MSIX_FLAGS_ENABLE);
  EXPECT_EQ(entries(), before);
  EXPECT_EQ(host.delivered().size(), vectors);
  expect_delivery(0);
}

GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(HealingOfAReset);
INSTANTIATE_TEST_SUITE_P(Linux, HealingOfAReset, testing::ValuesIn(devices_with_flr()),
                         [](const auto& each) { return each.param.name(); });
GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(Healing);
INSTANTIATE_TEST_SUITE_P(Linux, Healing, testing::ValuesIn(bound_devices()),
                         [](const auto& each) { return each.param.name(); });

}  // namespace
}  // namespace passthru
