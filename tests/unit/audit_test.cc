// SPDX-License-Identifier: MIT
// That damage is noticed without anybody asking.
#include "host/audit.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>

#include "tests/fakes/fake_host.h"
#include "tests/fakes/fake_kernel.h"
#include "tests/fakes/sysfs_tree.h"

namespace passthru {
namespace {

using namespace std::chrono_literals;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr uint64_t kWindow = 0xc000'0000;

class AuditTest : public ::testing::Test {
 protected:
  AuditTest() {
    sysfs.add({.bdf = "0000:00:02.0", .driver = "vfio-pci", .group = 2, .vfio_dev = true});
    nvme = &kernel->add(FakeSpec::nvme());
    domain = std::make_unique<Domain>(kernel, host, sysfs.sysfs());
    auto opened = AssignedDevice::open(*domain, {.device = Bdf{.device = 2}});
    EXPECT_TRUE(opened);
    device = std::move(*opened);
    device->config_write(0x10, 4, kWindow);
    device->config_write(0x04, 2, 0x6);
    device->config_write(FakeCapability::kMsix + 2U, 2, 0x8000);
    const std::array<uint32_t, 4> entry = {0xfee0'0000, 0, 0x41, 0};
    for (size_t word = 0; word < entry.size(); ++word) {
      domain->mmio().write(kWindow + 0x2000 + word * 4, std::as_bytes(std::span{&entry[word], 1}));
    }
  }

  /// Looks until `done`, and gives up after a time that no machine needs.
  template <class Done>
  static bool comes_true(Done done) {
    for (int i = 0; i < 10'000; ++i) {
      if (done()) return true;
      std::this_thread::sleep_for(1ms);
    }
    return false;
  }

  SysfsTree sysfs;
  std::shared_ptr<FakeKernel> kernel = std::make_shared<FakeKernel>();
  FakeHost host{*kernel};
  FakeDevice* nvme = nullptr;
  std::unique_ptr<Domain> domain;
  std::unique_ptr<AssignedDevice> device;
};

TEST_F(AuditTest, RestoresAVectorThatNobodyTouches) {
  auto audit = Audit::start({device.get()}, 1ms);
  ASSERT_TRUE(audit);
  nvme->zero_table();
  EXPECT_TRUE(comes_true([&] { return nvme->entry(0) == nvme->host_message(0); }));
  audit->reset();
  EXPECT_THAT(host.delivered(), ElementsAre(MsiMessage{0xfee0'0000, 0x41}));
  EXPECT_EQ(nvme->fire(0), Fired::Delivered);
}

TEST_F(AuditTest, TellsOnceOfADeviceThatCannotBeHealedAndHealsItWhenItCan) {
  const auto told = [this] {
    return std::count_if(host.events.begin(), host.events.end(), [](const Event& event) {
      return event.kind == Event::Kind::RestoreFailed;
    });
  };
  nvme->zero_table();
  for (int i = 0; i < 3; ++i) {
    kernel->fail("pread", EIO, 2);  // after the look at Message Control
    EXPECT_FALSE(device->rearm());
    EXPECT_EQ(told(), 1);
  }
  EXPECT_EQ(*device->rearm(), 1U);
  EXPECT_EQ(nvme->fire(0), Fired::Delivered);
  nvme->zero_table();
  kernel->fail("pread", EIO, 2);  // after the look at Message Control
  EXPECT_FALSE(device->rearm());
  EXPECT_EQ(told(), 2) << "another damage";
}

TEST_F(AuditTest, EndsAtOnceHoweverLongItsInterval) {
  auto audit = Audit::start({device.get()}, std::chrono::hours(24));
  ASSERT_TRUE(audit);
  audit->reset();  // returns: a test that hangs has failed
  EXPECT_THAT(host.events, IsEmpty());
}

}  // namespace
}  // namespace passthru
