// SPDX-License-Identifier: MIT
// Tests of a monitor with several devices: a slow device, and devices that come and go.
#include <gtest/gtest.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <memory>
#include <thread>
#include <utility>
#include <vector>

#include "device/device_monitor.h"
#include "tests/fakes/few_descriptors.h"
#include "tests/unit/device/assigned_fixture.h"

namespace passthru {
namespace {

using namespace std::chrono_literals;

/// A VMM whose on_event takes long for one device.
class SlowHost : public FakeHypervisor {
 public:
  using FakeHypervisor::FakeHypervisor;
  void on_event(const Event& event) override {
    if (event.device != slow) return FakeHypervisor::on_event(event);
    entered = true;
    released = eventually([this] { return release.load(); });
  }
  Bdf slow{};
  std::atomic<bool> entered{false};
  std::atomic<bool> release{false};
  std::atomic<bool> released{false};
};

class TwoDevicesTest : public VmFixture {
 protected:
  std::unique_ptr<AssignedDevice> open(FakeDevice& hardware) {
    auto opened = AssignedDevice::open(
        vm,
        {.device = hardware.spec().bdf, .guest_address = {.device = hardware.spec().bdf.device}});
    EXPECT_TRUE(opened) << opened.error().message();
    return opened ? std::move(*opened) : nullptr;
  }
  SlowHost slow_host{*kernel};
  Domain vm{kernel, slow_host, sysfs.sysfs()};
};

TEST_F(TwoDevicesTest, ASlowOneHoldsUpNoOther) {
  FakeDevice& slow = plug(FakeSpec::nvme());
  FakeDevice& other = plug(FakeSpec::nvme({0, 0, 9, 0}, 9));
  const auto slow_device = open(slow);
  const auto other_device = open(other);
  ASSERT_TRUE(slow_device && other_device);
  slow_host.slow = slow.spec().bdf;
  auto audit = DeviceMonitor::start({slow_device.get(), other_device.get()}, 1ms);
  ASSERT_TRUE(audit);
  slow.notify(Irq::Error);
  ASSERT_TRUE(eventually([&] { return slow_host.entered.load(); }));
  const uint64_t before = other_device->inspect().audits;
  EXPECT_TRUE(eventually([&] { return other_device->inspect().audits > before + 2; }));
  slow_host.release = true;
  audit->reset();
  EXPECT_TRUE(slow_host.released) << "the other devices' events did not wait for the slow one";
}

/// Two devices of a VM whose guest plugs and unplugs them.
class ComingAndGoingTest : public TwoDevicesTest {
 protected:
  void SetUp() override {
    first_hardware = &plug(FakeSpec::nvme());
    second_hardware = &plug(FakeSpec::nvme({0, 0, 9, 0}, 9));
    first = open(*first_hardware);
    second = open(*second_hardware);
    ASSERT_TRUE(first && second);
  }
  void start(std::vector<AssignedDevice*> devices, std::chrono::milliseconds interval = 1ms) {
    auto started = DeviceMonitor::start(std::move(devices), interval);
    ASSERT_TRUE(started) << started.error().message();
    monitor = std::move(*started);
  }
  /// Waits for a few more audits of `device`.
  static bool is_audited(const AssignedDevice& device) {
    const uint64_t before = device.inspect().audits;
    return eventually([&] { return device.inspect().audits > before + 2; });
  }

  FakeDevice* first_hardware = nullptr;
  FakeDevice* second_hardware = nullptr;
  std::unique_ptr<AssignedDevice> first;
  std::unique_ptr<AssignedDevice> second;
  std::unique_ptr<DeviceMonitor> monitor;
};

TEST_F(ComingAndGoingTest, AnAddedDeviceIsCheckedAndARemovedDeviceIsNot) {
  start({});
  ASSERT_TRUE(monitor->add(*first));
  EXPECT_TRUE(is_audited(*first));
  ASSERT_TRUE(monitor->add(*second));
  EXPECT_TRUE(is_audited(*second));

  monitor->remove(*second);
  const uint64_t audits = second->inspect().audits;
  EXPECT_TRUE(is_audited(*first)) << "the other device's thread goes on";
  EXPECT_EQ(second->inspect().audits, audits);
  second.reset();
  EXPECT_TRUE(is_audited(*first));

  second = open(*second_hardware);
  ASSERT_TRUE(second);
  ASSERT_TRUE(monitor->add(*second));
  EXPECT_TRUE(is_audited(*second)) << "a device may come back";
  monitor.reset();
}

TEST_F(ComingAndGoingTest, EventsOfAnAddedDeviceAreHandled) {
  start({}, DeviceMonitor::kOff);
  ASSERT_TRUE(monitor->add(*first));
  first_hardware->notify(Irq::Request);
  EXPECT_TRUE(eventually([this] { return !first->inspect().detached.empty(); }));
  monitor->remove(*first);
}

TEST_F(ComingAndGoingTest, RemovingWaitsForTheCallUnderWay) {
  slow_host.slow = first->bdf();
  start({first.get()});
  first_hardware->notify(Irq::Error);
  ASSERT_TRUE(eventually([this] { return slow_host.entered.load(); }));
  std::atomic<unsigned> removed{0};
  const auto remove = [&] {
    monitor->remove(*first);
    EXPECT_TRUE(slow_host.released) << "the device's thread was still in a call";
    ++removed;
  };
  std::thread vmm(remove);
  std::thread another(remove);
  // Meanwhile the monitor looks after other devices.
  ASSERT_TRUE(monitor->add(*second));
  EXPECT_TRUE(is_audited(*second));
  EXPECT_EQ(removed, 0U);
  slow_host.release = true;
  vmm.join();
  another.join();
  first.reset();
  EXPECT_TRUE(is_audited(*second));
  monitor.reset();
}

TEST_F(ComingAndGoingTest, ADeviceIsAddedOnce) {
  start({first.get()});
  const auto again = monitor->add(*first);
  ASSERT_FALSE(again);
  EXPECT_EQ(again.error().code, EEXIST);
  EXPECT_EQ(again.error().device, first->bdf().str());
  EXPECT_TRUE(is_audited(*first));
  monitor.reset();
}

TEST_F(ComingAndGoingTest, RemovingADeviceThatTheMonitorDoesNotHaveDoesNothing) {
  start({first.get()});
  monitor->remove(*second);
  monitor->remove(*first);
  monitor->remove(*first);
  ASSERT_TRUE(monitor->add(*first));
  EXPECT_TRUE(is_audited(*first));
  monitor.reset();
}

TEST_F(ComingAndGoingTest, AStartThatFailsLeavesNothing) {
  const rlim_t next = next_descriptor();
  {
    const FewDescriptors one_left(next + 1);
    const auto started = DeviceMonitor::start({first.get(), second.get()}, 1ms);
    ASSERT_FALSE(started) << "the second device's thread needs a descriptor";
    EXPECT_EQ(started.error().code, EMFILE);
  }
  EXPECT_EQ(next_descriptor(), next) << "the first device's descriptor is closed";
  const uint64_t audits = first->inspect().audits;
  std::this_thread::sleep_for(20ms);
  EXPECT_EQ(first->inspect().audits, audits) << "its thread has ended";
}

}  // namespace
}  // namespace passthru
