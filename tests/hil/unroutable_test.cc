// SPDX-License-Identifier: MIT
// That a vector whose message is no interrupt delivers nothing and hurts no other, on real VFIO:
// MSI-X vectors of every bound device, signalled by the kernel's loopback, and QEMU's edu, which
// signals its MSI itself.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <linux/pci_regs.h>

#include <algorithm>
#include <chrono>
#include <thread>

#include "host/assigned_device.h"
#include "irq/msix.h"
#include "irq/msix_snapshot.h"
#include "mmap/config_space.h"
#include "tests/fakes/fake_host.h"
#include "tests/hil/borrowed_device.h"
#include "tests/hil/bound_devices.h"
#include "vfio/linux_kernel.h"

namespace passthru {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr uint32_t kMemory = 0x1000;  // an address of memory

MsiMessage message_of(unsigned vector) {
  return {0xfee0'0000, 0x40 + vector};
}

class UnroutableMsix : public ::testing::TestWithParam<BoundDevice>, public VectorObserver {
 protected:
  void SetUp() override {
    auto opened = VfioDevice::open(kernel, dma, GetParam().group, GetParam().bdf);
    ASSERT_TRUE(opened) << opened.error().message();
    device = *opened;
    auto config = ConfigSpace::create(device);
    ASSERT_TRUE(config) << config.error().message();
    ASSERT_TRUE((*config)->msix());
    msix = std::make_unique<Msix>(
        device, *(*config)->msix(), host, *this,
        Msix::Options{.requester_id = 8, .wake = [] { return Result<void>{}; }});
    table = msix->table_target();
    for (unsigned vector = 0; vector < 3; ++vector) {
      put32(vector * 16, static_cast<uint32_t>(message_of(vector).address));
      put32(vector * 16 + 8, message_of(vector).data);
      put32(vector * 16 + 12, 0);
    }
    msix->write_control(kMsixEnable);
    host.delivered();
  }
  void put32(uint64_t offset, uint32_t value) {
    table->write(offset, std::as_bytes(std::span{&value, 1}));
  }
  void put_address(unsigned vector, uint32_t address) {
    put32(vector * 16, address);
    put32(vector * 16 + 8, message_of(vector).data);
  }
  void signal_all() {
    const auto done = device->act_on_irqs(Irq::Msix, IrqAction::Trigger, 0, 3);
    ASSERT_TRUE(done) << done.error().message();
  }

  void vector_failed(unsigned vector, const Error& error) override {
    EXPECT_EQ(vector, 1U) << error.message();
    ++told;
  }
  void vectors_restored(unsigned /*count*/) override {}
  void intx_failed(const Error& error) override { ADD_FAILURE() << error.message(); }

  LinuxKernel kernel;
  FakeHost host{kernel};
  DmaSpace dma{kernel};
  std::shared_ptr<VfioDevice> device;
  std::unique_ptr<Msix> msix;
  std::shared_ptr<AccessTarget> table;
  unsigned told = 0;
};

TEST_P(UnroutableMsix, DeliversNothingAndTheOthersWork) {
  signal_all();
  EXPECT_THAT(host.delivered(), ElementsAre(message_of(0), message_of(1), message_of(2)));
  const uint64_t calls = msix->set_irqs_calls();

  put_address(1, kMemory);
  signal_all();
  EXPECT_THAT(host.delivered(), ElementsAre(message_of(0), message_of(2)));
  auto states = msix->inspect();
  EXPECT_THAT(states[1].unroutable, HasSubstr("0x1000 is no interrupt address"));
  EXPECT_TRUE(states[1].pending);
  EXPECT_EQ(states[0].unroutable, "");
  EXPECT_EQ(states[2].unroutable, "");

  put_address(1, 0xfee0'0000);
  EXPECT_THAT(host.delivered(), ElementsAre(message_of(1))) << "what was signalled meanwhile";
  signal_all();
  EXPECT_EQ(host.delivered().size(), 3U);
  EXPECT_EQ(msix->inspect()[1].unroutable, "");
  EXPECT_EQ(told, 1U);
  EXPECT_EQ(msix->set_irqs_calls(), calls);
}

TEST_P(UnroutableMsix, AnInvalidationMovesTheVectorsConcernedWithoutSetIrqs) {
  const uint64_t calls = msix->set_irqs_calls();
  uint64_t cpu = 3;
  host.translation = [&](const MsiMessage& message, uint16_t) -> Result<MsiMessage> {
    return MsiMessage{message.address | cpu << 12, message.data};
  };
  msix->retranslate([](const MsiMessage& message) { return message.data == 0x41; });
  signal_all();
  EXPECT_THAT(host.delivered(),
              ElementsAre(message_of(0), MsiMessage{0xfee0'3000, 0x41}, message_of(2)));
  EXPECT_EQ(msix->set_irqs_calls(), calls);
}

std::vector<BoundDevice> devices_with_msix() {
  std::vector<BoundDevice> devices = bound_devices();
  std::erase_if(devices, [](const BoundDevice& device) {
    const auto function = Sysfs().function(device.bdf);
    return !function || !msix_layout_of(*function);
  });
  return devices;
}

GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(UnroutableMsix);
INSTANTIATE_TEST_SUITE_P(Linux, UnroutableMsix, testing::ValuesIn(devices_with_msix()),
                         [](const auto& each) { return each.param.name(); });

constexpr uint64_t kGuest = 0xc000'0000;
constexpr uint64_t kRaise = 0x60;
constexpr uint64_t kAcknowledge = 0x64;

class UnroutableMsi : public testing::Test {
 protected:
  void SetUp() override {
    const auto found = functions_with(0x1234, 0x11e8);
    if (found.empty()) GTEST_SKIP() << "no edu is here; scripts/lab run --device edu";
    auto taken = BorrowedDevice::borrow(found.front());
    ASSERT_TRUE(taken) << taken.error().message();
    borrowed = std::move(*taken);
    auto opened =
        AssignedDevice::open(domain, {.device = found.front(), .guest_address = {.device = 1}});
    ASSERT_TRUE(opened) << opened.error().message();
    device = std::move(*opened);
    device->config_write(PCI_BASE_ADDRESS_0, 4, kGuest);
    device->config_write(PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
    msi = device->config_read(PCI_CAPABILITY_LIST, 1);
    while (msi != 0 && device->config_read(msi, 1) != PCI_CAP_ID_MSI) {
      msi = device->config_read(msi + PCI_CAP_LIST_NEXT, 1);
    }
    ASSERT_NE(msi, 0U);
  }
  void write(uint64_t offset, uint32_t value) {
    EXPECT_TRUE(domain.mmio().write(kGuest + offset, std::as_bytes(std::span(&value, 1))));
  }
  /// The device sends its message.
  void raise() {
    write(kRaise, 1);
    write(kAcknowledge, 1);
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
  }

  // Tear-down order: the device leaves its guest before it is given back.
  std::unique_ptr<BorrowedDevice> borrowed;
  std::shared_ptr<LinuxKernel> kernel = std::make_shared<LinuxKernel>();
  FakeHost host{*kernel};
  Domain domain{kernel, host};
  std::unique_ptr<AssignedDevice> device;
  uint32_t msi = 0;
};

TEST_F(UnroutableMsi, OfADeviceThatSignalsItIsNamedAndDeliveredOnceCorrected) {
  if (IsSkipped()) return;
  device->config_write(msi + PCI_MSI_ADDRESS_LO, 4, kMemory);
  device->config_write(msi + PCI_MSI_DATA_64, 2, message_of(1).data);
  device->config_write(msi + PCI_MSI_FLAGS, 2, PCI_MSI_FLAGS_ENABLE);
  raise();
  EXPECT_THAT(host.delivered(), IsEmpty());
  const Inspection seen = device->inspect();
  ASSERT_FALSE(seen.vectors.empty());
  EXPECT_THAT(seen.vectors[0].unroutable, HasSubstr("0x1000 is no interrupt address"));
  EXPECT_EQ(seen.refused_messages, 1U);
  ASSERT_EQ(host.events.size(), 1U);
  EXPECT_THAT(host.events[0].detail, HasSubstr("vector 0: "));

  device->config_write(msi + PCI_MSI_ADDRESS_LO, 4, 0xfee0'0000);
  EXPECT_THAT(host.delivered(), ElementsAre(message_of(1)));
  raise();
  EXPECT_THAT(host.delivered(), ElementsAre(message_of(1)));
  EXPECT_EQ(device->inspect().vectors[0].unroutable, "");
}

}  // namespace
}  // namespace passthru
