// SPDX-License-Identifier: MIT
// That interrupts reach the APIC whose id a message has, on real KVM: ids of 8 bits, and of more.
#include <gtest/gtest.h>
#include <linux/kvm.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <chrono>
#include <cstring>
#include <thread>
#include <vector>

#include "host/kvm/kvm_call.h"
#include "host/kvm/kvm_host.h"
#include "host/kvm/kvm_table.h"
#include "irq/remap.h"
#include "vfio/fd.h"
#include "vmm/kvm_machine.h"

namespace passthru {
namespace {

/// A CPU that never runs: its APIC, in x2APIC mode and enabled, keeps what it is sent.
class SleepingCpu {
 public:
  SleepingCpu(const KvmMachine& machine, uint32_t id) {
    const auto fd =
        kvm_call(machine.vm(), KVM_CREATE_VCPU, "KVM_CREATE_VCPU", static_cast<uint64_t>(id));
    EXPECT_TRUE(fd) << fd.error().message();
    if (!fd) return;
    fd_ = Fd(*fd);
    KvmTable<kvm_cpuid_entry2> cpuid(supported(machine));
    call(kvm_table_request(KVM_SET_CPUID2), "KVM_SET_CPUID2", cpuid.argument());
    kvm_sregs sregs{};
    call(KVM_GET_SREGS, "KVM_GET_SREGS", &sregs);
    sregs.apic_base |= 3 << 10;
    call(KVM_SET_SREGS, "KVM_SET_SREGS", &sregs);
    kvm_lapic_state apic = state();
    apic.regs[kSpuriousVector + 1] |= 1;  // bit 8: software enable
    call(KVM_SET_LAPIC, "KVM_SET_LAPIC", &apic);
  }

  /// Whether the vector's bit in the interrupt request register is set.
  bool requested(unsigned vector) {
    const kvm_lapic_state apic = state();
    uint32_t word = 0;
    std::memcpy(&word, apic.regs + kRequests + vector / 32 * 0x10, sizeof word);
    return (word >> vector % 32 & 1) != 0;
  }

 private:
  static constexpr size_t kSpuriousVector = 0xf0;
  static constexpr size_t kRequests = 0x200;

  static std::vector<kvm_cpuid_entry2> supported(const KvmMachine& machine) {
    std::vector<kvm_cpuid_entry2> entries;
    const auto cpuid = machine.supported_cpuid();
    EXPECT_TRUE(cpuid);
    for (const CpuidEntry& each : cpuid.value_or(std::vector<CpuidEntry>{})) {
      kvm_cpuid_entry2 entry{};
      entry.function = each.leaf;
      entry.index = each.subleaf;
      entry.flags = each.flags;
      entry.eax = each.eax;
      entry.ebx = each.ebx;
      entry.ecx = each.ecx;
      entry.edx = each.edx;
      entries.push_back(entry);
    }
    return entries;
  }
  void call(unsigned long request, const char* name, void* argument) {
    const auto done = kvm_call(fd_.get(), request, name, argument);
    EXPECT_TRUE(done) << done.error().message();
  }
  kvm_lapic_state state() {
    kvm_lapic_state apic{};
    call(KVM_GET_LAPIC, "KVM_GET_LAPIC", &apic);
    return apic;
  }

  Fd fd_;
};

bool soon(SleepingCpu& cpu, unsigned vector) {
  for (int left = 2000; left > 0; --left) {
    if (cpu.requested(vector)) return true;
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  return false;
}

class KvmDestination : public testing::Test {
 protected:
  void create(const KvmHostOptions& options) {
    auto made = KvmMachine::create();
    ASSERT_TRUE(made) << made.error().message();
    machine = std::move(*made);
    auto opened = KvmHost::create(machine->vm(), options);
    ASSERT_TRUE(opened) << opened.error().message();
    host = std::move(*opened);
  }
  /// What a device's interrupt does.
  void signal() {
    const uint64_t one = 1;
    ASSERT_EQ(::write(eventfd.get(), &one, sizeof one), 8);
  }

  std::unique_ptr<KvmMachine> machine;
  std::unique_ptr<KvmHost> host;
  Fd eventfd{::eventfd(0, EFD_CLOEXEC)};
};

// 44 is what is left of 300 in 8 bits.
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
  EXPECT_FALSE(host->translate({0xfee0'0000 | 1 << 5, 0x61}, 0x10)) << "bits of an id not offered";
}

}  // namespace
}  // namespace passthru
