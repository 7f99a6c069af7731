// SPDX-License-Identifier: MIT
// Tests of the choice of peer-to-peer DMA through the C interface: which BARs are mapped for DMA,
// and whether the library starts a thread.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <iterator>
#include <set>
#include <string>

#include "tests/fakes/eventually.h"
#include "tests/unit/capi/capi_fixture.h"

namespace passthru {
namespace {

using ::testing::IsEmpty;
using ::testing::Not;

/// A device with a BAR 2 of 2 MiB, which a device alone does not reach by DMA.
class CapiP2p : public CapiFixture {
 protected:
  CapiP2p() {
    FakeSpec spec = FakeSpec::nvme();
    spec.bars[2] = {.size = 2 << 20, .is_64bit = true};
    plug(spec);
    create();
    // The first change of an address space starts liburcu's thread.
    EXPECT_EQ(passthru_domain_hide_bars(domain, 0xfee0'0000, 0x1000), 0);
  }

  [[nodiscard]] int use(uint32_t choice) const { return passthru_domain_use_p2p(domain, choice); }
  static void place_large(passthru_device* device) {
    EXPECT_EQ(passthru_device_config_write(device, 0x18, 4, 0xd000'0000), 0);
    EXPECT_EQ(passthru_device_config_write(device, 0x1c, 4, 0), 0);
    EXPECT_EQ(passthru_device_config_write(device, 0x04, 2, 0x6), 0);
  }
  /// Counts the DMA mappings when devices reach the BARs where they are now.
  [[nodiscard]] size_t dma_mappings() const {
    EXPECT_TRUE(
        eventually([this] { return domains().find(domain)->domain().peers().wait_for_mapped(); }));
    return kernel->dma_mappings();
  }
  [[nodiscard]] static std::set<std::string> threads() {
    std::set<std::string> ids;
    for (const auto& thread : std::filesystem::directory_iterator("/proc/self/task")) {
      ids.insert(thread.path().filename().string());
    }
    return ids;
  }
  /// Opens the device, and returns the threads that this started.
  std::set<std::string> started_by_open() {
    const std::set<std::string> before = threads();
    open();
    const std::set<std::string> after = threads();
    std::set<std::string> started;
    std::set_difference(after.begin(), after.end(), before.begin(), before.end(),
                        std::inserter(started, started.end()));
    return started;
  }
};

TEST_F(CapiP2p, OffMapsNoBarForDma) {
  ASSERT_EQ(use(PASSTHRU_P2P_OFF), 0) << passthru_last_error();
  passthru_device* device = open();
  place(device);
  place_large(device);
  EXPECT_THAT(vmm.host.mappings(), Not(IsEmpty())) << "the guest has the BARs";
  EXPECT_EQ(dma_mappings(), 0U);
}

TEST_F(CapiP2p, OnMapsALargeBarOfADeviceAlone) {
  ASSERT_EQ(use(PASSTHRU_P2P_ON), 0) << passthru_last_error();
  place_large(open());
  EXPECT_EQ(dma_mappings(), 1U);
}

TEST_F(CapiP2p, AutoMapsTheSmallBarOfADeviceAloneAndNotTheLargeBar) {
  ASSERT_EQ(use(PASSTHRU_P2P_AUTO), 0) << passthru_last_error();
  passthru_device* device = open();
  place_large(device);
  EXPECT_EQ(dma_mappings(), 0U);
  place(device);
  EXPECT_EQ(dma_mappings(), 1U);
}

TEST_F(CapiP2p, TheFirstOpenStartsAThread) {
  EXPECT_THAT(started_by_open(), Not(IsEmpty()));
}

TEST_F(CapiP2p, OffStartsNoThread) {
  ASSERT_EQ(use(PASSTHRU_P2P_OFF), 0) << passthru_last_error();
  EXPECT_THAT(started_by_open(), IsEmpty());
}

TEST_F(CapiP2p, TheChoiceIsRefusedOnceADeviceWasOpen) {
  ASSERT_EQ(use(PASSTHRU_P2P_ON), 0);
  ASSERT_EQ(use(PASSTHRU_P2P_AUTO), 0) << "the last choice before a device counts";
  passthru_device* device = open();
  EXPECT_EQ(use(PASSTHRU_P2P_OFF), -EBUSY);
  ASSERT_EQ(passthru_device_close(device), 0);
  EXPECT_EQ(use(PASSTHRU_P2P_OFF), -EBUSY);
}

}  // namespace
}  // namespace passthru
