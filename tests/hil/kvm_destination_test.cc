// SPDX-License-Identifier: MIT
// Tests on real KVM that interrupts reach the APIC whose id is in the message, for ids of 8 bits
// and more.
#include <gtest/gtest.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <memory>

#include "base/fd.h"
#include "irq/remap.h"
#include "kvm/kvm_hypervisor.h"
#include "tests/hil/sleeping_cpu.h"
#include "vmm/kvm_machine.h"

namespace passthru {
namespace {

class KvmDestination : public testing::Test {
 protected:
  void create(const KvmHypervisorOptions& options) {
    auto made = KvmMachine::create();
    ASSERT_TRUE(made) << made.error().message();
    machine = std::move(*made);
    auto opened = KvmHypervisor::create(machine->vm(), options);
    ASSERT_TRUE(opened) << opened.error().message();
    host = std::move(*opened);
  }
  /// Signals the eventfd, as a device's interrupt does.
  void signal() {
    const uint64_t one = 1;
    ASSERT_EQ(::write(eventfd.get(), &one, sizeof one), 8);
  }

  std::unique_ptr<KvmMachine> machine;
  std::unique_ptr<KvmHypervisor> host;
  Fd eventfd{::eventfd(0, EFD_CLOEXEC)};
};

// 44 is 300 truncated to 8 bits.
TEST_F(KvmDestination, AnExtendedIdReachesItsCpuAndNoOther) {
  create({.extended_destinations = true});
  SleepingCpu low(*machine, 44), high(*machine, 300);
  const auto message = host->translate({0xfee0'0000 | 44 << 12 | 1 << 5, 0x61}, 0x10);
  ASSERT_TRUE(message) << message.error().message();
  const auto route = host->create_route(*message, 0x10);
  ASSERT_TRUE(route) << route.error().message();
  ASSERT_TRUE(host->arm(*route, eventfd.get()));
  signal();
  EXPECT_TRUE(soon(high, 0x61));
  EXPECT_FALSE(low.requested(0x61));

  const auto plain = host->translate({0xfee0'0000 | 44 << 12, 0x62}, 0x10);
  ASSERT_TRUE(plain);
  ASSERT_TRUE(host->update_route(*route, *plain));
  signal();
  EXPECT_TRUE(soon(low, 0x62));
  EXPECT_FALSE(high.requested(0x62));

  ASSERT_TRUE(host->signal_msi({message_address(300), 0x63}, 0x10));
  EXPECT_TRUE(soon(high, 0x63));
  EXPECT_FALSE(low.requested(0x63));
  host->disarm(*route, eventfd.get());
  host->destroy_route(*route);
}

TEST_F(KvmDestination, AnIdThatKvmWouldCutOffIsRefused) {
  create({});
  const MsiMessage message{message_address(300), 0x61};
  for (const auto& error :
       {host->create_route(message, 0x10).error(), host->signal_msi(message, 0x10).error()}) {
    EXPECT_EQ(error.code, EINVAL);
  }
  const auto route = host->create_route({message_address(44), 0x61}, 0x10);
  ASSERT_TRUE(route);
  EXPECT_EQ(host->update_route(*route, message).error().code, EINVAL);
  host->destroy_route(*route);
  EXPECT_FALSE(host->translate({0xfee0'0000 | 1 << 5, 0x61}, 0x10))
      << "id bits that were not offered";
}

}  // namespace
}  // namespace passthru
