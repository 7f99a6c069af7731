// SPDX-License-Identifier: MIT
// Tests on real VFIO that the kernel masks INTx when it fires, and that the guest's EOI unmasks it,
// for both ways to report an EOI. QEMU's edu asserts its pin when a register is written.
#include <gtest/gtest.h>
#include <linux/pci_regs.h>

#include <chrono>
#include <thread>

#include "tests/hil/assigned_edu.h"

namespace passthru {
namespace {

class IntxOfEdu : public AssignedEdu {
 protected:
  template <class Condition>
  static bool soon(Condition condition) {
    for (int left = 2000; left > 0; --left) {
      if (condition()) return true;
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    return false;
  }
  /// Returns whether the condition is still false after a time in which it would have become true.
  template <class Condition>
  static bool not_soon(Condition condition) {
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
    return !condition();
  }
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
    EXPECT_TRUE(high()) << "the guest has not yet signalled the EOI";
    device->end_of_intx();
    EXPECT_TRUE(not_soon(high)) << "no longer asserted";
  }
}

TEST_F(IntxOfEdu, ComesBackWithItsLevelAfterMsi) {
  open(false);
  if (IsSkipped() || HasFatalFailure()) return;
  const uint32_t msi = msi_capability();
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
