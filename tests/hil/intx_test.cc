// SPDX-License-Identifier: MIT
// That INTx is masked by the kernel when it fires and comes back with the guest's EOI, on real
// VFIO: by QEMU's edu, which asserts its pin when a register is written. Both ways to tell an EOI.
#include <gtest/gtest.h>
#include <linux/pci_regs.h>

#include <chrono>
#include <thread>

#include "host/assigned_device.h"
#include "tests/fakes/fake_host.h"
#include "tests/hil/borrowed_device.h"
#include "vfio/linux_kernel.h"

namespace passthru {
namespace {

constexpr uint64_t kGuest = 0xc0000000;
constexpr uint64_t kRaise = 0x60;  // bits written are set in the interrupt status; 0: no interrupt
constexpr uint64_t kAcknowledge = 0x64;

class IntxOfEdu : public testing::Test {
 protected:
  void open(bool by_level) {
    const auto found = functions_with(0x1234, 0x11e8);
    if (found.empty()) GTEST_SKIP() << "no edu is here; scripts/lab run --device edu";
    auto taken = BorrowedDevice::borrow(found.front());
    ASSERT_TRUE(taken) << taken.error().message();
    borrowed = std::move(*taken);
    host.by_level = by_level;
    auto opened =
        AssignedDevice::open(domain, {.device = found.front(), .guest_address = {.device = 1}});
    ASSERT_TRUE(opened) << opened.error().message();
    device = std::move(*opened);
    device->config_write(PCI_BASE_ADDRESS_0, 4, kGuest);
    device->config_write(PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
  }

  void write(uint64_t offset, uint32_t value) {
    EXPECT_TRUE(domain.mmio().write(kGuest + offset, std::as_bytes(std::span(&value, 1))));
  }
  template <class Condition>
  static bool soon(Condition condition) {
    for (int left = 2000; left > 0; --left) {
      if (condition()) return true;
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    return false;
  }
  /// Not within a time in which it would certainly have come.
  template <class Condition>
  static bool not_soon(Condition condition) {
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
    return !condition();
  }

  // Tear-down order: the device leaves its guest before it is given back.
  std::unique_ptr<BorrowedDevice> borrowed;
  std::shared_ptr<LinuxKernel> kernel = std::make_shared<LinuxKernel>();
  FakeHost host{*kernel};
  Domain domain{kernel, host};
  std::unique_ptr<AssignedDevice> device;
};

TEST_F(IntxOfEdu, IsMaskedWhenItFiresUntilTheResamplingEventfdIsSignalled) {
  open(false);
  if (IsSkipped() || HasFatalFailure()) return;
  const auto delivered = [this] { return host.intx_delivered(); };
  EXPECT_TRUE(not_soon(delivered));
  for (int round = 0; round < 3; ++round) {
    write(kRaise, 1);
    EXPECT_TRUE(soon(delivered));
    write(kRaise, 2);
    EXPECT_TRUE(not_soon(delivered)) << "masked";
    host.end_of_intx();
    EXPECT_TRUE(soon(delivered)) << "still asserted";
    write(kAcknowledge, 3);
    host.end_of_intx();
    EXPECT_TRUE(not_soon(delivered)) << "no longer asserted";
  }
}

TEST_F(IntxOfEdu, IsALevelForAVmmThatTellsEoisItself) {
  open(true);
  if (IsSkipped() || HasFatalFailure()) return;
  const auto high = [this] { return host.intx_level(); };
  EXPECT_TRUE(not_soon(high));
  for (int round = 0; round < 3; ++round) {
    write(kRaise, 1);
    EXPECT_TRUE(soon(high));
    device->end_of_intx();
    EXPECT_TRUE(soon(high)) << "still asserted";
    write(kAcknowledge, 1);
    EXPECT_TRUE(high()) << "the guest has yet to tell that it is done";
    device->end_of_intx();
    EXPECT_TRUE(not_soon(high)) << "no longer asserted";
  }
}

TEST_F(IntxOfEdu, ComesBackWithItsLevelAfterMsi) {
  open(false);
  if (IsSkipped() || HasFatalFailure()) return;
  uint32_t msi = device->config_read(PCI_CAPABILITY_LIST, 1);
  while (msi != 0 && device->config_read(msi, 1) != PCI_CAP_ID_MSI) {
    msi = device->config_read(msi + PCI_CAP_LIST_NEXT, 1);
  }
  ASSERT_NE(msi, 0U);
  const MsiMessage message{0xfee00000, 0x41};
  device->config_write(msi + PCI_MSI_ADDRESS_LO, 4, static_cast<uint32_t>(message.address));
  device->config_write(msi + PCI_MSI_DATA_64, 2, message.data);
  for (int round = 0; round < 3; ++round) {
    device->config_write(msi + PCI_MSI_FLAGS, 2, PCI_MSI_FLAGS_ENABLE);
    EXPECT_FALSE(host.intx_armed());
    write(kRaise, 1);
    EXPECT_TRUE(soon([&] { return host.delivered() == std::vector{message}; }));
    device->config_write(msi + PCI_MSI_FLAGS, 2, 0);
    ASSERT_TRUE(host.intx_armed());
    write(kAcknowledge, 1);
    write(kRaise, 1);
    EXPECT_TRUE(soon([this] { return host.intx_delivered(); }));
    write(kAcknowledge, 1);
    host.end_of_intx();
  }
}

}  // namespace
}  // namespace passthru
