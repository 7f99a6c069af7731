// SPDX-License-Identifier: MIT
// A test fixture for every bound device with MSI-X: an Msix between the real device on vfio-pci and
// a fake VMM, with some unmasked vectors.
#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <memory>
#include <span>

#include "irq/msix.h"
#include "mmap/config_space.h"
#include "tests/fakes/fake_hypervisor.h"
#include "tests/hil/bound_devices.h"
#include "vfio/device.h"
#include "vfio/linux_kernel.h"

namespace passthru {

inline MsiMessage message_of(unsigned vector) {
  return {0xfee0'0000, 0x40 + vector};
}

class MsixOnVfio : public ::testing::TestWithParam<BoundDevice>, public VectorObserver {
 protected:
  /// Opens the device and finds its table. Skips the test if the device has no MSI-X.
  void SetUp() override {
    auto opened = VfioDevice::open(kernel, dma, GetParam().door());
    ASSERT_TRUE(opened) << opened.error().message();
    device = *opened;
    auto config = ConfigSpace::create(device);
    ASSERT_TRUE(config) << config.error().message();
    if (!(*config)->msix()) GTEST_SKIP() << "the device has no MSI-X";
    layout = *(*config)->msix();
  }
  /// Enables MSI-X with `message_of` in the first `vectors` entries, unmasked.
  void enable(unsigned vectors) {
    msix = std::make_unique<Msix>(
        device, layout, router, *this,
        Msix::Options{.requester_id = 8, .wake = [this] { return turn_decode_on(); }});
    table = msix->table_target();
    for (unsigned vector = 0; vector < vectors; ++vector) {
      put_message(vector, message_of(vector));
      put32(vector * 16 + 12, 0);
    }
    msix->write_control(PCI_MSIX_FLAGS_ENABLE);
    host.delivered();
  }
  void put32(uint64_t offset, uint32_t value) {
    table->write(offset, std::as_bytes(std::span{&value, 1}));
  }
  void put_message(unsigned vector, const MsiMessage& message) {
    put32(vector * 16, static_cast<uint32_t>(message.address));
    put32(vector * 16 + 8, message.data);
  }
  /// Triggers the vectors by the kernel's own loopback, as if the device had signalled them.
  void signal(unsigned first, unsigned count) {
    const auto done = device->act_on_irqs(Irq::Msix, IrqAction::Trigger, first, count);
    ASSERT_TRUE(done) << done.error().message();
  }
  Result<void> turn_decode_on() {
    const uint16_t command = 0x7;
    return device->write(Region::Config, 4, std::as_bytes(std::span{&command, 1}));
  }

  void vector_failed(unsigned vector, const Error& error) override {
    ADD_FAILURE() << "vector " << vector << ": " << error.message();
  }
  void vectors_restored(unsigned count) override { restored += count; }
  void intx_failed(const Error& error) override { ADD_FAILURE() << error.message(); }

  LinuxKernel kernel;
  FakeHypervisor host{kernel};
  ForwardingRouter router{host};
  DmaSpace dma{kernel};
  std::shared_ptr<VfioDevice> device;
  MsixLayout layout;
  std::unique_ptr<Msix> msix;
  std::shared_ptr<AccessTarget> table;
  unsigned restored = 0;
};

}  // namespace passthru
