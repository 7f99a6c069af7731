// SPDX-License-Identifier: MIT
// Tests of a device's removal while vCPUs run.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <cstring>
#include <thread>
#include <vector>

#include "tests/unit/device/assigned_fixture.h"

namespace passthru {
namespace {

using ::testing::IsEmpty;

/// Config space through a window, as a VMM's ECAM: one function, until it is removed.
class EcamOfOne : public AccessTarget {
 public:
  void read(uint64_t offset, std::span<std::byte> data) override {
    uint32_t value = UINT32_MAX;
    if (AssignedDevice* found = function.load()) {
      value = found->config_read(static_cast<uint32_t>(offset), 4);
    }
    std::memcpy(data.data(), &value, data.size());
  }
  void write(uint64_t offset, std::span<const std::byte> data) override {
    uint32_t value = 0;
    std::memcpy(&value, data.data(), data.size());
    if (AssignedDevice* found = function.load()) {
      found->config_write(static_cast<uint32_t>(offset), 4, value);
    }
  }
  std::atomic<AssignedDevice*> function{};
};

class Unplug : public AssignedFixture {};

TEST_F(Unplug, ADeviceThatIsOffTheBusGoesWhileVcpusAreAtWork) {
  constexpr uint64_t kEcam = 0xe000'0000;
  hardware = &plug(FakeSpec::nvme());
  open();
  auto ecam = std::make_shared<EcamOfOne>();
  ecam->function = device.get();
  ASSERT_TRUE(domain.mmio().commit({.add = {{.base = kEcam, .size = 0x1000, .target = ecam}}}));
  std::atomic<bool> stop = false;
  std::atomic<uint64_t> rounds = 0;
  std::vector<std::thread> vcpus;
  for (unsigned vcpu = 0; vcpu < 2; ++vcpu) {
    vcpus.emplace_back([&] {
      for (; !stop; ++rounds) {
        const uint32_t ids = mmio_read(kEcam);
        EXPECT_TRUE(ids == 0x0010'1b36 || ids == UINT32_MAX) << ids;
        mmio_write(kEcam + kBar0, static_cast<uint32_t>(kWindow));
        mmio_write(kEcam + kCommand, rounds % 2 == 0 ? 0x6 : 0x4);
        mmio_read(kWindow + 0x2000);
      }
    });
  }
  EXPECT_TRUE(eventually([&] { return rounds >= 200; })) << "the vCPUs have not started";
  ecam->function = nullptr;
  domain.mmio().wait_for_readers();
  device.reset();
  EXPECT_TRUE(kernel->nothing_leaked());
  EXPECT_THAT(host.mappings(), IsEmpty());
  EXPECT_EQ(mmio_read(kEcam), UINT32_MAX);
  stop = true;
  for (std::thread& vcpu : vcpus) vcpu.join();
}

}  // namespace
}  // namespace passthru
