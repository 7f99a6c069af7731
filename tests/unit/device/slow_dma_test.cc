// SPDX-License-Identifier: MIT
// Tests of a kernel that is slow to map or unmap a BAR for DMA. No access of a vCPU waits for it.
// What must not happen before the BAR is unmapped does wait: a reset, a detach, new RAM there.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <memory>
#include <string_view>
#include <thread>

#include "tests/unit/device/assigned_fixture.h"
#include "tests/unit/device/slow_call.h"

namespace passthru {
namespace {

using namespace std::chrono_literals;
using ::testing::IsEmpty;
using ::testing::SizeIs;

constexpr uint64_t kThird = 0xd100'0000;

/// Two NVMe drives. The first drive's BAR, or its removal, is slow.
class SlowDmaTest : public AssignedFixture {
 protected:
  void SetUp() override {
    hardware = &plug(FakeSpec::nvme());
    open();
    const FakeSpec spec = FakeSpec::nvme({.device = 9}, 9);
    plug(spec);
    auto opened =
        AssignedDevice::open(domain, {.device = spec.bdf, .guest_address = {.device = 9}});
    ASSERT_TRUE(opened) << opened.error().message();
    other = std::move(*opened);
  }
  void TearDown() override {
    call.release();
    kernel->dma_hook.set({});
  }

  static constexpr bool is_map(std::string_view name) {
    return name == "VFIO_IOMMU_MAP_DMA" || name == "IOMMU_IOAS_MAP";
  }
  void block_map() {
    kernel->dma_hook.set([this](std::string_view name, bool after) {
      if (is_map(name) && !after) call.wait();
    });
  }
  void block_unmap() {
    kernel->dma_hook.set([this](std::string_view name, bool after) {
      if (!is_map(name) && !after) call.wait();
    });
  }
  [[nodiscard]] size_t maps() const {
    return kernel->calls("VFIO_IOMMU_MAP_DMA").size() + kernel->calls("IOMMU_IOAS_MAP").size();
  }
  void place_other(uint64_t address) {
    other->config_write(kBar0, 4, static_cast<uint32_t>(address));
    other->config_write(kCommand, 2, 0x6);
  }
  [[nodiscard]] size_t refusals() const {
    return static_cast<size_t>(
        std::count_if(host.events.begin(), host.events.end(),
                      [](const Event& event) { return event.kind == Event::Kind::P2pRefused; }));
  }

  std::unique_ptr<AssignedDevice> other;
  SlowCall call;
};

TEST_F(SlowDmaTest, AMapHoldsUpNoAccessOfAnyDevice) {
  block_map();
  place(kWindow);
  ASSERT_TRUE(call.is_entered());
  EXPECT_TRUE(mapped(kWindow)) << "the guest has the BAR";
  place_other(kElsewhere);
  EXPECT_TRUE(mapped(kElsewhere));
  device->config_write(0x3c, 1, 0x0b);
  EXPECT_EQ(device->config_read(0x3c, 1), 0x0bU);
  device->config_write(kBar0, 4, static_cast<uint32_t>(kThird));
  EXPECT_TRUE(mapped(kThird));
  mmio_write(kThird + 0x2008, 0x40);
  EXPECT_EQ(mmio_read(kThird + 0x2008), 0x40U);
  EXPECT_TRUE(device->check_health());
  EXPECT_TRUE(other->check_health());
  EXPECT_EQ(other->inspect().dma.maps, 0U) << "the map is under way";
  call.release();
  EXPECT_EQ(dma_mappings(), 2U);
  EXPECT_TRUE(call.was_released()) << "an access waited until the call gave up";
  EXPECT_TRUE(domain.remove_memory(kThird)) << "the BAR is mapped where it is";
  EXPECT_TRUE(domain.remove_memory(kElsewhere));
}

TEST_F(SlowDmaTest, ABarThatMovesOftenIsMappedOnlyWhereItIs) {
  block_map();
  place(kWindow);
  ASSERT_TRUE(call.is_entered());
  for (unsigned i = 0; i < 50; ++i) {
    device->config_write(kBar0, 4, static_cast<uint32_t>(kElsewhere + uint64_t{i} * 0x10000));
  }
  device->config_write(kBar0, 4, static_cast<uint32_t>(kThird));
  call.release();
  EXPECT_EQ(dma_mappings(), 1U);
  EXPECT_EQ(maps(), 2U) << "the first place and the last";
  EXPECT_TRUE(domain.remove_memory(kThird));
}

TEST_F(SlowDmaTest, ADetachEndsAfterTheMapUnderWayAndItsRemoval) {
  block_map();
  place(kWindow);
  ASSERT_TRUE(call.is_entered());
  const size_t before = kernel->mappings();
  std::thread vmm([this] { device->detach(); });
  EXPECT_TRUE(eventually([this] { return device->config_read(0, 4) == UINT32_MAX; }));
  std::this_thread::sleep_for(20ms);
  EXPECT_EQ(kernel->mappings(), before) << "the kernel is reading these mappings";
  call.release();
  vmm.join();
  EXPECT_EQ(kernel->dma_mappings(), 0U);
  EXPECT_LT(kernel->mappings(), before);
  EXPECT_TRUE(call.was_released());
}

TEST_F(SlowDmaTest, AResetByTheGuestWaitsUntilNoDeviceReachesTheBar) {
  place(kWindow);
  EXPECT_EQ(dma_mappings(), 1U);
  kernel->forget_calls();
  block_unmap();
  std::thread vcpu([this] { device->config_write(kDeviceControl, 2, 0x8000); });
  ASSERT_TRUE(call.is_entered());
  EXPECT_EQ(device->config_read(0, 4), UINT32_MAX) << "another vCPU does not wait";
  std::this_thread::sleep_for(20ms);
  EXPECT_THAT(kernel->calls("VFIO_DEVICE_RESET"), IsEmpty());
  call.release();
  vcpu.join();
  EXPECT_THAT(kernel->calls("VFIO_DEVICE_RESET"), SizeIs(1));
}

TEST_F(SlowDmaTest, NewMemoryWaitsUntilABarHasLeftItsAddress) {
  alignas(4096) static std::array<std::byte, 4096> memory;
  const GuestMapping part{.address = kThird, .size = memory.size(), .memory = memory.data()};
  for (unsigned i = 0; i < 100; ++i) {
    domain.peers().show(part);
    EXPECT_EQ(dma_mappings(), 1U);
    domain.peers().hide(part);
    ASSERT_TRUE(domain.add_memory(kThird, memory)) << "the BAR is still mapped there";
    ASSERT_TRUE(domain.remove_memory(kThird));
  }
}

TEST_F(SlowDmaTest, ALateRefusalIsReportedByTheNextCheck) {
  kernel->fail(tested_backend() == Backend::Cdev ? "IOMMU_IOAS_MAP" : "VFIO_IOMMU_MAP_DMA", EFAULT);
  block_map();
  place(kWindow);
  ASSERT_TRUE(call.is_entered());
  EXPECT_EQ(refusals(), 0U);
  call.release();
  EXPECT_EQ(dma_mappings(), 0U);
  EXPECT_TRUE(other->check_health());
  EXPECT_EQ(refusals(), 1U);
  EXPECT_TRUE(device->check_health());
  EXPECT_EQ(refusals(), 1U);
}

TEST_F(SlowDmaTest, WithoutPeerToPeerDmaNothingWaits) {
  Domain alone(kernel, host, sysfs.sysfs());
  ASSERT_TRUE(alone.use_p2p(P2p::Off));
  alone.peers().add_device();
  alone.peers().show({.address = kWindow, .size = 0x1000});
  EXPECT_TRUE(alone.peers().wait_for_mapped());
  alone.peers().hide({.address = kWindow, .size = 0x1000});
  alone.peers().wait_for_unmapped();
  EXPECT_EQ(kernel->dma_mappings(), 0U);
}

}  // namespace
}  // namespace passthru
