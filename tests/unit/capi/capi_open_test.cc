// SPDX-License-Identifier: MIT
// Tests of opening and closing devices through the C interface, also while other threads use them.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <future>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "tests/fakes/eventually.h"
#include "tests/unit/capi/capi_fixture.h"

namespace passthru {
namespace {

using ::testing::HasSubstr;

TEST_F(CapiDevice, AnErrorHasAText) {
  create();
  const auto given = options("0000:00:1f.0");
  passthru_device* device = nullptr;
  EXPECT_EQ(passthru_device_open(domain, &given, &device), -ENOENT);
  EXPECT_THAT(passthru_last_error(), HasSubstr("0000:00:1f.0: cannot"));
  std::thread([] { EXPECT_STREQ(passthru_last_error(), ""); }).join();
}

TEST_F(CapiDevice, AnOpenThatFailsAtAnyCallOfTheKernelLeavesNothing) {
  create();
  kernel->forget_calls();
  passthru_device* first = open();
  const auto calls = static_cast<unsigned>(kernel->calls().size());
  ASSERT_EQ(passthru_device_close(first), 0);
  ASSERT_TRUE(kernel->nothing_leaked());
  const auto given = options();
  unsigned failed = 0;
  for (unsigned nth = 1; nth <= calls; ++nth) {
    kernel->fail("*", EIO, nth);
    passthru_device* device = nullptr;
    if (passthru_device_open(domain, &given, &device) == 0) {
      EXPECT_EQ(passthru_device_close(device), 0) << nth;
    } else {
      ++failed;
      EXPECT_EQ(device, nullptr) << nth;
      EXPECT_STRNE(passthru_last_error(), "") << nth;
    }
    EXPECT_TRUE(domains().find(domain)->devices().empty()) << nth;
    EXPECT_TRUE(vmm.host.files.empty()) << nth;
    EXPECT_FALSE(vmm.host.intx_armed()) << nth;
    EXPECT_TRUE(kernel->nothing_leaked()) << nth;
  }
  EXPECT_GT(failed, 0U);
}

TEST_F(CapiDevice, AnOpenWhoseFileTheVmmRefusesLeavesNothing) {
  create();
  vmm.host.fail_next("file_added", EPERM);
  const auto given = options();
  passthru_device* device = nullptr;
  EXPECT_EQ(passthru_device_open(domain, &given, &device), -EPERM);
  EXPECT_EQ(device, nullptr);
  EXPECT_TRUE(domains().find(domain)->devices().empty());
  EXPECT_TRUE(vmm.host.files.empty());
  EXPECT_TRUE(kernel->nothing_leaked());
}

TEST_F(CapiDevice, AnOpenThatTheInspectSocketRefusesLeavesNothing) {
  create();
  const std::string path = ::testing::TempDir() + "capi_open." + std::to_string(::getpid());
  ASSERT_EQ(passthru_domain_inspect_serve(domain, path.c_str(), PASSTHRU_INSPECT_OWN_LOOP), 0)
      << passthru_last_error();
  passthru_device* detached = open();
  hardware.notify(Irq::Request);
  ASSERT_EQ(passthru_device_handle_events(detached), 0);
  ASSERT_TRUE(vmm.host.files.empty()) << "the device is detached";
  ASSERT_EQ(passthru_domain_start_audit(domain, 0), 0);
  const size_t before = kernel->open_fds();
  const auto given = options();
  passthru_device* device = nullptr;
  EXPECT_EQ(passthru_device_open(domain, &given, &device), -EEXIST) << "the old handle is open";
  EXPECT_EQ(device, nullptr);
  EXPECT_EQ(domains().find(domain)->devices(), std::set<passthru_device*>{detached});
  EXPECT_TRUE(vmm.host.files.empty());
  EXPECT_EQ(kernel->open_fds(), before);
  EXPECT_EQ(passthru_device_close(detached), 0);
  EXPECT_NE(open(), nullptr);
}

TEST_F(CapiDevice, ACloseThatWaitsForTheAuditOfItsDeviceDelaysNoOtherDevice) {
  using namespace std::chrono_literals;
  plug(FakeSpec::e1000e());
  std::atomic<bool> in_check = false;
  std::promise<void> release;
  create();
  passthru_device* busy = open();
  passthru_device* other = open(0, "0000:00:03.0");
  place(busy);
  enable_msix(busy);
  program_by_address(0);
  vmm.in_event = [&in_check, released = release.get_future().share()] {
    in_check = true;
    released.wait();
  };
  ASSERT_EQ(passthru_domain_start_audit(domain, 10), 0);
  hardware.zero_table();
  EXPECT_TRUE(eventually([&] { return in_check.load(); })) << "the check reports what it restored";
  std::atomic<bool> closing = false;
  std::thread closer([&] {
    closing = true;
    EXPECT_EQ(passthru_device_close(busy), 0);
  });
  EXPECT_TRUE(eventually([&] { return closing.load(); }));
  std::this_thread::sleep_for(50ms);  // it now waits for the check
  auto closed = std::async(std::launch::async, [&] { return passthru_device_close(other); });
  EXPECT_EQ(closed.wait_for(10s), std::future_status::ready);
  release.set_value();
  EXPECT_EQ(closed.get(), 0);
  closer.join();
  vmm.in_event = nullptr;
}

TEST_F(CapiDevice, ACloseWaitsForAnAuditThatIsBeingStopped) {
  using namespace std::chrono_literals;
  std::atomic<bool> in_event = false;
  std::promise<void> release;
  create();
  passthru_device* device = open();
  vmm.in_event = [&in_event, released = release.get_future().share()] {
    in_event = true;
    released.wait();
  };
  ASSERT_EQ(passthru_domain_start_audit(domain, 0), 0);
  hardware.notify(Irq::Request);
  EXPECT_TRUE(eventually([&] { return in_event.load(); })) << "after the detach, without its locks";
  auto stopped = std::async(std::launch::async, [&] { return passthru_domain_stop_audit(domain); });
  EXPECT_EQ(stopped.wait_for(50ms), std::future_status::timeout);
  auto closed = std::async(std::launch::async, [&] { return passthru_device_close(device); });
  EXPECT_EQ(closed.wait_for(50ms), std::future_status::timeout) << "the audit uses the device";
  release.set_value();
  EXPECT_EQ(stopped.get(), 0);
  EXPECT_EQ(closed.get(), 0);
  vmm.in_event = nullptr;
}

TEST_F(CapiDevice, TheAuditFollowsADeviceThatIsOpenedLater) {
  create();
  ASSERT_EQ(passthru_domain_start_audit(domain, 10), 0);
  passthru_device* device = open();
  place(device);
  enable_msix(device);
  program_by_address(0);
  hardware.zero_table();
  EXPECT_TRUE(eventually([&] { return hardware.entry(0) == hardware.host_message(0); }));
  EXPECT_EQ(passthru_device_close(device), 0) << "while the audit runs";
  EXPECT_NE(open(), nullptr);
}

TEST_F(CapiDevice, VcpusMayCallWhileTheDeviceIsClosed) {
  create();
  for (unsigned round = 0; round < 20; ++round) {
    passthru_device* device = open();
    place(device);
    std::atomic<bool> stop = false;
    std::thread vcpu([&] {
      while (!stop) {
        uint32_t value = 0;
        const int result = passthru_device_config_read(device, 0, 4, &value);
        EXPECT_TRUE(result == 0 || result == -EINVAL);
        passthru_domain_mmio_read(domain, kCWindow + kCTable, &value, 4);
        passthru_device_bar_read(device, 0, kCTable, &value, 4);
      }
    });
    EXPECT_EQ(passthru_device_close(device), 0);
    stop = true;
    vcpu.join();
    EXPECT_EQ(passthru_device_close(device), -EINVAL);
  }
}

TEST_F(CapiDevice, ManyThreadsCloseADeviceOnce) {
  create();
  for (unsigned round = 0; round < 50; ++round) {
    passthru_device* device = open();
    std::atomic<int> closed = 0;
    std::vector<std::thread> threads;
    for (int i = 0; i < 3; ++i) {
      threads.emplace_back([&] {
        const int result = passthru_device_close(device);
        EXPECT_TRUE(result == 0 || result == -EINVAL);
        if (result == 0) ++closed;
      });
    }
    for (auto& thread : threads) thread.join();
    EXPECT_EQ(closed, 1);
  }
}

TEST_F(CapiDevice, DestroyingTheDomainClosesItsDevices) {
  create();
  passthru_device* device = open();
  place(device);
  ASSERT_EQ(passthru_domain_start_audit(domain, 10), 0);
  EXPECT_EQ(passthru_domain_destroy(domain), 0);
  domain = nullptr;
  EXPECT_EQ(passthru_device_close(device), -EINVAL);
  EXPECT_TRUE(kernel->nothing_leaked());
}

}  // namespace
}  // namespace passthru
