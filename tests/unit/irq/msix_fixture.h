// SPDX-License-Identifier: MIT
// An Msix between a fake device and a fake VMM, and the guest's accesses: it writes the table and
// reads the pending bits.
#pragma once

#include <gtest/gtest.h>

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include "irq/msix.h"
#include "tests/fakes/fake_hypervisor.h"
#include "tests/fakes/fake_kernel.h"

namespace passthru {

inline MsiMessage message_of(unsigned vector) {
  return {0xfee0'0000, 0x40 + vector};
}

class MsixTest : public ::testing::Test, public VectorObserver {
 protected:
  void open(FakeSpec spec) {
    fake = &kernel.add(std::move(spec));
    auto opened = VfioDevice::open(kernel, dma, fake->spec().door(), allow_unsafe_interrupts);
    ASSERT_TRUE(opened) << opened.error().message();
    device = *opened;
    msix = std::make_unique<Msix>(device, fake->spec().msix.layout(), router, *this,
                                  Msix::Options{.requester_id = 8,
                                                .max_per_second = max_per_second,
                                                .wake = [this] { return wake(); },
                                                .pause =
                                                    [this] {
                                                      if (pause) pause();
                                                    },
                                                .now = [this] { return now += look_takes; }});
    table = msix->table_target();
    pba = msix->pba_target();
    kernel.forget_calls();
  }

  Result<void> wake() {
    const uint16_t command = 0x6;
    return device->write(Region::Config, 4, std::as_bytes(std::span{&command, 1}));
  }

  void put32(uint64_t offset, uint32_t value) {
    table->write(offset, std::as_bytes(std::span{&value, 1}));
  }
  void program(unsigned vector) {
    put32(vector * 16, static_cast<uint32_t>(message_of(vector).address));
    put32(vector * 16 + 4, 0);
    put32(vector * 16 + 8, message_of(vector).data);
  }
  void mask(unsigned vector, bool masked) { put32(vector * 16 + 12, masked ? 1 : 0); }
  void program_and_unmask(unsigned vector) {
    program(vector);
    mask(vector, false);
  }
  /// Opens a device; its guest enables MSI-X and unmasks the first `vectors`. No interrupt is left.
  void live(unsigned vectors, FakeSpec spec = FakeSpec::nvme()) {
    open(std::move(spec));
    msix->write_control(PCI_MSIX_FLAGS_ENABLE);
    for (unsigned vector = 0; vector < vectors; ++vector) program_and_unmask(vector);
    host.delivered();
  }
  uint64_t pending_bits(unsigned word = 0) {
    uint64_t bits = 0;
    pba->read(word * 8, std::as_writable_bytes(std::span{&bits, 1}));
    return bits;
  }
  /// Lets the next restore disable the index; then the kernel refuses to enable it in any way.
  void fail_enabling(int code) {
    kernel.fail("VFIO_DEVICE_SET_IRQS", code, 2);
    kernel.fail("VFIO_DEVICE_SET_IRQS", code, 3);  // enabling without a vector
  }
  size_t set_irqs() { return kernel.calls("VFIO_DEVICE_SET_IRQS").size(); }

  void vector_failed(unsigned vector, const Error& error) override {
    failures.emplace_back(vector, error.code);
  }
  void vectors_restored(unsigned count) override { restored += count; }
  void intx_failed(const Error& /*error*/) override {}

  FakeKernel kernel;
  FakeHypervisor host{kernel};
  ForwardingRouter router{host};
  DmaSpace dma{kernel};
  FakeDevice* fake = nullptr;
  std::shared_ptr<VfioDevice> device;
  std::unique_ptr<Msix> msix;
  std::shared_ptr<AccessTarget> table;
  std::shared_ptr<AccessTarget> pba;
  std::vector<std::pair<unsigned, int>> failures;
  unsigned restored = 0;
  uint32_t max_per_second = 0;
  bool allow_unsafe_interrupts = false;
  Delivery::Clock::time_point now{};
  std::chrono::nanoseconds look_takes{};  ///< time between two readings of the clock
  std::function<void()> pause;            ///< runs while the library waits for a masked entry
};

}  // namespace passthru
