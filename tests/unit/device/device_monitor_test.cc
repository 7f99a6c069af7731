// SPDX-License-Identifier: MIT
// Tests of the thread that audits a device without a request.
#include "device/device_monitor.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>

#include <algorithm>
#include <chrono>

#include "tests/fakes/few_descriptors.h"
#include "tests/unit/device/assigned_fixture.h"

namespace passthru {
namespace {

using namespace std::chrono_literals;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

/// A device with one live vector.
class AuditTest : public AssignedFixture {
 protected:
  void SetUp() override { open_and_use(); }
  void open_and_use(const AssignOptions& options = {}) {
    hardware = &plug(FakeSpec::nvme());
    open(options);
    place(kWindow);
    enable_msix();
    enable_vector(0);
  }
};

TEST_F(AuditTest, RestoresAVectorThatNobodyTouches) {
  auto audit = DeviceMonitor::start({device.get()}, 1ms);
  ASSERT_TRUE(audit);
  hardware->zero_table();
  EXPECT_TRUE(eventually([&] { return hardware->entry(0) == hardware->host_message(0); }));
  audit->reset();
  EXPECT_THAT(host.delivered(), ElementsAre(message_of(0)));
  EXPECT_EQ(hardware->fire(0), Fired::Delivered);
}

TEST_F(AuditTest, TellsOnceOfADeviceThatCannotBeHealedAndHealsItWhenItCan) {
  const auto told = [this] {
    return std::count_if(host.events.begin(), host.events.end(), [](const Event& event) {
      return event.kind == Event::Kind::RestoreFailed;
    });
  };
  hardware->zero_table();
  for (int i = 0; i < 3; ++i) {
    kernel->fail("pread", EIO, 3);  // after the reads of the vendor and Message Control
    EXPECT_FALSE(device->check_health());
    EXPECT_EQ(told(), 1);
  }
  EXPECT_EQ(*device->check_health(), 1U);
  EXPECT_EQ(hardware->fire(0), Fired::Delivered);
  hardware->zero_table();
  kernel->fail("pread", EIO, 3);  // after the reads of the vendor and Message Control
  EXPECT_FALSE(device->check_health());
  EXPECT_EQ(told(), 2) << "new damage is reported again";
}

TEST_F(AuditTest, ADeviceWhoseRestoreFailedIsCuredByNothingButARestore) {
  const auto told = [this] {
    return std::count_if(host.events.begin(), host.events.end(), [](const Event& event) {
      return event.kind == Event::Kind::RestoreFailed;
    });
  };
  hardware->backdoor_reset();
  kernel->fail("VFIO_DEVICE_SET_IRQS", ENOMEM, 2);  // disabling succeeds, enabling again fails
  EXPECT_FALSE(device->check_health());
  kernel->fail("VFIO_DEVICE_SET_IRQS", ENOMEM);
  EXPECT_FALSE(device->check_health());
  EXPECT_EQ(told(), 1);
  EXPECT_THAT(host.delivered(), IsEmpty());
  EXPECT_EQ(*device->check_health(), 1U);
  EXPECT_THAT(host.delivered(), ElementsAre(message_of(0)));
  EXPECT_EQ(hardware->fire(0), Fired::Delivered);
  EXPECT_EQ(*device->check_health(), 0U);
  EXPECT_EQ(told(), 1);

  const Inspection inspection = device->inspect();
  EXPECT_EQ(inspection.audits, 4U);
  EXPECT_EQ(inspection.damages, 3U);
  EXPECT_EQ(inspection.vectors[0].rebinds, 2U)
      << "the second audit first tried to enable the index without a vector";
  EXPECT_EQ(inspection.vectors[0].latched, 0U);
  EXPECT_GT(inspection.vectors[0].masked_ns, 0U) << "from MSI-X Enable to its unmasking";
  EXPECT_NE(inspection.vectors[0].last_error, "");
  EXPECT_EQ(inspection.vectors[1].last_error, "");
}

/// A host that keeps requesting the device from a VMM that does not give it back.
class TalkingHostTest : public AuditTest {
 protected:
  void SetUp() override { open_and_use({.on_unplug = OnUnplug::Tell}); }
  /// Sends a request and waits until the audit's thread has read it.
  bool ask() {
    hardware->notify(Irq::Request);
    return eventually([this] {
      pollfd ready = {.fd = device->event_fds().back(), .events = POLLIN, .revents = 0};
      return ::poll(&ready, 1, 0) == 0;
    });
  }
};

TEST_F(TalkingHostTest, DoesNotPutOffALook) {
  auto audit = DeviceMonitor::start({device.get()}, 50ms);
  ASSERT_TRUE(audit);
  hardware->zero_table();
  const auto is_restored = [&] { return hardware->entry(0) == hardware->host_message(0); };
  for (int i = 0; i < 10'000 && !is_restored(); ++i) ASSERT_TRUE(ask());
  EXPECT_TRUE(is_restored());
}

TEST_F(TalkingHostTest, DoesNotBringALookForward) {
  auto audit = DeviceMonitor::start({device.get()}, std::chrono::hours(24));
  ASSERT_TRUE(audit);
  for (int i = 0; i < 10; ++i) EXPECT_TRUE(ask());
  audit->reset();
  EXPECT_EQ(device->inspect().audits, 0U);
}

TEST_F(AuditTest, EndsAtOnceHoweverLongItsInterval) {
  auto audit = DeviceMonitor::start({device.get()}, std::chrono::hours(24));
  ASSERT_TRUE(audit);
  audit->reset();  // must return; otherwise the test hangs
  EXPECT_THAT(host.events, IsEmpty());
}

// poll() fails if it gets more descriptors than RLIMIT_NOFILE.
TEST_F(AuditTest, GoesOnWhereTheKernelDoesNotWait) {
  auto audit = DeviceMonitor::start({device.get()}, 1ms);
  ASSERT_TRUE(audit);
  {
    const FewDescriptors few(1);
    const size_t before = kernel->calls("pread").size();
    EXPECT_TRUE(eventually([&] { return kernel->calls("pread").size() > before + 20; }))
        << "the audits continue";
  }
  hardware->zero_table();
  EXPECT_TRUE(eventually([&] { return hardware->entry(0) == hardware->host_message(0); }));
  audit->reset();
}

}  // namespace
}  // namespace passthru
