// SPDX-License-Identifier: MIT
// Tests that a watch of a vector may begin and end while the vector fires, with a real device's
// interrupts and KVM's own irqfds: every signal arrives, whatever its moment.
#include <gtest/gtest.h>

#include <memory>
#include <optional>
#include <thread>

#include "irq/msix.h"
#include "kvm/kvm_hypervisor.h"
#include "mmap/config_space.h"
#include "tests/hil/bound_devices.h"
#include "tests/hil/sleeping_cpu.h"
#include "vfio/device.h"
#include "vfio/linux_kernel.h"

namespace passthru {
namespace {

constexpr unsigned kVector = 0x51;  // of the guest's CPU

class WatchOnKvm : public testing::TestWithParam<BoundDevice>, public VectorObserver {
 protected:
  void SetUp() override {
    machine = std::move(*KvmMachine::create());
    cpu.emplace(*machine, 0);
    host = std::move(*KvmHypervisor::create(machine->vm(), {}));
    router.emplace(*host);
    auto opened = VfioDevice::open(kernel, dma, GetParam().door());
    ASSERT_TRUE(opened) << opened.error().message();
    device = *opened;
    const auto config = ConfigSpace::create(device);
    ASSERT_TRUE(config) << config.error().message();
    msix = std::make_unique<Msix>(
        device, *(*config)->msix(), *router, *this,
        Msix::Options{.requester_id = 8, .wake = [] { return Result<void>{}; }});
    const auto table = msix->table_target();
    for (const auto& [offset, value] :
         {std::pair<uint64_t, uint32_t>{0, 0xfee0'0000}, {8, kVector}, {12, 0}}) {
      table->write(offset, std::as_bytes(std::span{&value, 1}));
    }
    msix->write_control(PCI_MSIX_FLAGS_ENABLE);
  }
  /// Triggers the first vector by the kernel's own loopback, as if the device had signalled it.
  void signal() {
    const auto done = device->act_on_irqs(Irq::Msix, IrqAction::Trigger, 0, 1);
    EXPECT_TRUE(done) << done.error().message();
  }
  void vector_failed(unsigned /*vector*/, const Error& error) override {
    ADD_FAILURE() << error.message();
  }
  void vectors_restored(unsigned /*count*/) override {}
  void intx_failed(const Error& error) override { ADD_FAILURE() << error.message(); }

  std::unique_ptr<KvmMachine> machine;
  std::optional<SleepingCpu> cpu;
  std::unique_ptr<KvmHypervisor> host;
  std::optional<ForwardingRouter> router;
  LinuxKernel kernel;
  DmaSpace dma{kernel};
  std::shared_ptr<VfioDevice> device;
  std::unique_ptr<Msix> msix;
};

TEST_P(WatchOnKvm, ASignalArrivesOnEitherWay) {
  for (const bool watched : {false, true, false}) {
    ASSERT_TRUE(msix->watch(0, watched ? std::optional<uint64_t>(1) : std::nullopt));
    EXPECT_EQ(msix->inspect()[0].owner, watched ? EventfdOwner::Forwarder : EventfdOwner::Irqfd);
    cpu->clear();
    signal();
    EXPECT_TRUE(soon(*cpu, kVector));
  }
}

TEST_P(WatchOnKvm, ASignalThatComesDuringASwitchArrives) {
  const auto calls = msix->counters().set_irqs_calls;
  for (unsigned round = 0; round < 300; ++round) {
    cpu->clear();
    std::thread fires([this] { signal(); });
    for (unsigned spin = round % 50 * 100; spin != 0; --spin) asm volatile("");
    EXPECT_TRUE(msix->watch(0, round % 2 == 0 ? std::optional<uint64_t>(round + 1) : std::nullopt));
    fires.join();
    ASSERT_TRUE(soon(*cpu, kVector)) << round;
  }
  EXPECT_EQ(msix->counters().set_irqs_calls, calls);
}

GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(WatchOnKvm);
INSTANTIATE_TEST_SUITE_P(Linux, WatchOnKvm, testing::ValuesIn(devices_with_msix()),
                         [](const auto& each) { return each.param.name(); });

}  // namespace
}  // namespace passthru
