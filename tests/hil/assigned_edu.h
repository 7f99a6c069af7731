// SPDX-License-Identifier: MIT
// A test fixture that borrows the emulator's edu and assigns it to a fake VMM. A write to a
// register makes the edu signal its pin or its MSI.
#pragma once

#include <gtest/gtest.h>
#include <linux/pci_regs.h>

#include <cstdint>
#include <memory>
#include <span>

#include "device/assigned_device.h"
#include "tests/fakes/fake_hypervisor.h"
#include "tests/hil/borrowed_device.h"
#include "tests/hil/bound_devices.h"
#include "vfio/linux_kernel.h"

namespace passthru {

class AssignedEdu : public ::testing::Test {
 protected:
  /// A write sets its bits in the interrupt status, and raises an interrupt if they are not 0.
  static constexpr uint64_t kRaise = 0x60;
  static constexpr uint64_t kAcknowledge = 0x64;

  /// Skips the test if there is no edu.
  void open(bool by_level = false) {
    const auto found = functions_with(0x1234, 0x11e8);
    if (found.empty()) GTEST_SKIP() << "no edu found. Use: scripts/lab run --device edu";
    auto taken = BorrowedDevice::borrow(found.front());
    ASSERT_TRUE(taken) << taken.error().message();
    borrowed = std::move(*taken);
    host.by_level = by_level;
    auto opened =
        AssignedDevice::open(domain, {.device = found.front(), .guest_address = {.device = 1}},
                             {.backend = tested_backend()});
    ASSERT_TRUE(opened) << opened.error().message();
    device = std::move(*opened);
    device->config_write(PCI_BASE_ADDRESS_0, 4, kGuest);
    device->config_write(PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
  }
  void write(uint64_t offset, uint32_t value) {
    EXPECT_TRUE(domain.mmio().write(kGuest + offset, std::as_bytes(std::span(&value, 1))));
  }
  /// Returns where the guest finds the MSI capability, or 0.
  [[nodiscard]] uint32_t msi_capability() const {
    uint32_t at = device->config_read(PCI_CAPABILITY_LIST, 1);
    while (at != 0 && device->config_read(at, 1) != PCI_CAP_ID_MSI) {
      at = device->config_read(at + PCI_CAP_LIST_NEXT, 1);
    }
    return at;
  }

  // Tear-down order: the device leaves its guest before its driver is restored.
  std::unique_ptr<BorrowedDevice> borrowed;
  std::shared_ptr<LinuxKernel> kernel = std::make_shared<LinuxKernel>();
  FakeHypervisor host{*kernel};
  Domain domain{kernel, host};
  std::unique_ptr<AssignedDevice> device;
};

}  // namespace passthru
