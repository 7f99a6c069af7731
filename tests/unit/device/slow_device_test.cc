// SPDX-License-Identifier: MIT
// Tests of a device whose kernel call blocks. Auditing, restoring and detaching the VM's other
// devices must not wait for it.
#include <gtest/gtest.h>

#include <chrono>
#include <functional>
#include <memory>
#include <string_view>
#include <thread>
#include <utility>

#include "device/device_monitor.h"
#include "tests/unit/device/assigned_fixture.h"
#include "tests/unit/device/slow_call.h"

namespace passthru {
namespace {

using namespace std::chrono_literals;

class SlowDeviceTest : public VmFixture {
 protected:
  struct Used {
    FakeDevice* hardware;
    std::unique_ptr<AssignedDevice> device;
    uint64_t window;
  };

  /// Opens a device and lets its guest use one vector.
  Used use(const FakeSpec& spec, uint64_t window) {
    Used used{.hardware = &plug(spec), .device = nullptr, .window = window};
    auto opened = AssignedDevice::open(
        domain, {.device = spec.bdf, .guest_address = {.device = spec.bdf.device}});
    EXPECT_TRUE(opened) << opened.error().message();
    if (!opened) return used;
    used.device = std::move(*opened);
    used.device->config_write(kBar0, 4, static_cast<uint32_t>(window));
    used.device->config_write(kBar0 + 4, 4, static_cast<uint32_t>(window >> 32));
    used.device->config_write(kCommand, 2, 0x6);
    used.device->config_write(kMsixControl, 2, 0x8000);
    mmio_write(window + 0x2000, 0xfee0'0000);
    mmio_write(window + 0x2008, 0x40);
    mask(used, false);
    EXPECT_TRUE(used.hardware->bound(0));
    return used;
  }
  void mask(const Used& used, bool masked) { mmio_write(used.window + 0x200c, masked ? 1 : 0); }
  static bool is_restored(const Used& used) {
    return used.hardware->entry(0) == used.hardware->host_message(0);
  }

  void SetUp() override {
    slow = use(FakeSpec::nvme(), kWindow);
    other = use(FakeSpec::nvme({0, 0, 9, 0}, 9), kElsewhere);
    ASSERT_TRUE(slow.device && other.device);
  }

  /// Call it while the slow device's call blocks: audits, restores and detaches the other device.
  void expect_other_goes_on() {
    ASSERT_TRUE(call.is_entered());
    auto audit = DeviceMonitor::start({other.device.get()}, 1ms);
    ASSERT_TRUE(audit);
    expect_other_is_restored_and_detached();
    audit->reset();
  }
  void expect_other_is_restored_and_detached() {
    const uint64_t before = other.device->inspect().audits;
    EXPECT_TRUE(eventually([&] { return other.device->inspect().audits > before + 2; }));
    other.hardware->zero_table();
    EXPECT_TRUE(eventually([&] { return is_restored(other); }));
    EXPECT_EQ(other.hardware->fire(0), Fired::Delivered);
    other.device->detach();
    EXPECT_FALSE(other.hardware->bound(0));
    EXPECT_EQ(mmio_read(other.window + 0x2000), UINT32_MAX) << "its guest has an empty slot";
    call.release();
  }

  SlowCall call;
  Used slow{};
  Used other{};
};

TEST_F(SlowDeviceTest, ARestoreByTheAuditHoldsUpNoOtherDevice) {
  slow.hardware->set_pause([this] { call.wait(); });
  auto audit = DeviceMonitor::start({slow.device.get(), other.device.get()}, 1ms);
  ASSERT_TRUE(audit);
  slow.hardware->zero_table();
  ASSERT_TRUE(call.is_entered());
  expect_other_is_restored_and_detached();
  EXPECT_TRUE(eventually([&] { return is_restored(slow); }));
  audit->reset();
  EXPECT_TRUE(call.was_released()) << "the other device waited until the call gave up";
}

TEST_F(SlowDeviceTest, ARestoreByAVcpuHoldsUpNoOtherDevice) {
  slow.hardware->set_pause([this] { call.wait(); });
  mask(slow, true);
  slow.hardware->zero_table();
  std::thread vcpu([this] { mask(slow, false); });
  expect_other_goes_on();
  vcpu.join();
  EXPECT_TRUE(is_restored(slow));
  EXPECT_TRUE(call.was_released()) << "the other device waited until the call gave up";
}

TEST_F(SlowDeviceTest, AResetByTheGuestHoldsUpNoOtherDevice) {
  kernel->hook.set([this](std::string_view name, bool after) {
    if (name == "VFIO_DEVICE_RESET" && !after) call.wait();
  });
  const unsigned resets = slow.hardware->resets();
  std::thread vcpu([this] { slow.device->config_write(FakeCapability::kExpress + 8, 2, 0x8000); });
  expect_other_goes_on();
  vcpu.join();
  EXPECT_EQ(slow.hardware->resets(), resets + 1);
  EXPECT_TRUE(call.was_released()) << "the other device waited until the call gave up";
}

TEST_F(SlowDeviceTest, ADetachHoldsUpNoOtherDevice) {
  kernel->hook.set([this](std::string_view name, bool after) {
    if (name == "VFIO_DEVICE_RESET" && !after) call.wait();
  });
  std::thread vmm([this] { slow.device->detach(); });
  expect_other_goes_on();
  vmm.join();
  EXPECT_FALSE(slow.hardware->bound(0));
  EXPECT_TRUE(call.was_released()) << "the other device waited until the call gave up";
}

}  // namespace
}  // namespace passthru
