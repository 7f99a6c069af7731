// SPDX-License-Identifier: MIT
// A device that loses its power while a guest uses it, on real VFIO: it does not answer for a time,
// and has lost its state when it answers again.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <linux/pci_regs.h>

#include <chrono>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "device/assigned_device.h"
#include "tests/fakes/eventually.h"
#include "tests/fakes/fake_hypervisor.h"
#include "tests/hil/borrowed_device.h"
#include "tests/hil/bound_devices.h"
#include "tests/hil/reopened_device.h"
#include "tests/hil/taken_away.h"
#include "vfio/linux_kernel.h"

namespace passthru {
namespace {

using namespace std::chrono_literals;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Not;

/// The lab's virtio-rng, alone behind a port with a power controller. Its BAR 1 is the MSI-X table
/// and the pending bits, its BAR 4 has the registers.
class SilentOnVfio : public ::testing::Test {
 protected:
  static constexpr uint64_t kRegisters = kGuest + 0x10'0000;
  static constexpr unsigned kVectors = 2;
  static constexpr uint32_t kMemoryAndMaster = PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER;

  void open(std::chrono::milliseconds max_silence) {
    const auto found = functions_with(0x1af4, 0x1044);
    if (found.empty()) GTEST_SKIP() << "no virtio-rng found below a port";
    auto above = Bridge::above(found.front());
    ASSERT_TRUE(above) << above.error().message();
    port = std::move(*above);
    auto taken = BorrowedDevice::borrow(found.front());
    ASSERT_TRUE(taken) << taken.error().message();
    borrowed = std::move(*taken);
    auto opened = AssignedDevice::open(
        domain,
        {.device = found.front(), .guest_address = {.device = 1}, .max_silence = max_silence},
        {.backend = tested_backend()});
    ASSERT_TRUE(opened) << opened.error().message();
    device = std::move(*opened);
  }
  void start_driver() {
    device->config_write(PCI_BASE_ADDRESS_1, 4, kGuest);
    device->config_write(PCI_BASE_ADDRESS_4, 4, static_cast<uint32_t>(kRegisters));
    device->config_write(PCI_BASE_ADDRESS_5, 4, 0);
    device->config_write(PCI_COMMAND, 2, kMemoryAndMaster);
    device->config_write(msix_capability() + PCI_MSIX_FLAGS, 2, PCI_MSIX_FLAGS_ENABLE);
    for (unsigned vector = 0; vector < kVectors; ++vector) {
      const uint64_t entry = kGuest + uint64_t{vector} * PCI_MSIX_ENTRY_SIZE;
      write(entry + PCI_MSIX_ENTRY_LOWER_ADDR, static_cast<uint32_t>(message_of(vector).address));
      write(entry + PCI_MSIX_ENTRY_UPPER_ADDR, 0);
      write(entry + PCI_MSIX_ENTRY_DATA, message_of(vector).data);
      write(entry + PCI_MSIX_ENTRY_VECTOR_CTRL, 0);
    }
    host.delivered();
    host.events.clear();
  }
  [[nodiscard]] uint32_t msix_capability() const {
    uint32_t at = device->config_read(PCI_CAPABILITY_LIST, 1);
    while (at != 0 && device->config_read(at, 1) != PCI_CAP_ID_MSIX) {
      at = device->config_read(at + PCI_CAP_LIST_NEXT, 1);
    }
    return at;
  }
  static MsiMessage message_of(unsigned vector) { return {0xfee0'0000, 0x40 + vector}; }
  void write(uint64_t address, uint32_t value) {
    EXPECT_TRUE(domain.mmio().write(address, std::as_bytes(std::span(&value, 1))));
  }
  [[nodiscard]] std::vector<Event::Kind> events() const {
    std::vector<Event::Kind> kinds;
    for (const Event& each : host.events) kinds.push_back(each.kind);
    return kinds;
  }
  /// Returns the entries of the device, read past VFIO and the code under test.
  std::vector<MsixEntry> entries() {
    const SecondDoor door(borrowed->bdf(), {.vectors = kVectors, .table_bar = 1});
    if (!door.open()) return {};
    return {door.entry(0), door.entry(1)};
  }

  // Tear-down order: the device leaves its guest before its driver is restored. The port passes
  // accesses again, and has power, before both.
  std::unique_ptr<BorrowedDevice> borrowed;
  std::shared_ptr<LinuxKernel> kernel = std::make_shared<LinuxKernel>();
  FakeHypervisor host{*kernel};
  Domain domain{kernel, host};
  std::unique_ptr<AssignedDevice> device;
  std::unique_ptr<Bridge> port;
};

TEST_F(SilentOnVfio, Case15ADeviceThatLostItsPowerIsRestoredWhenItAnswers) {
  open(60s);
  if (IsSkipped() || HasFatalFailure()) return;
  start_driver();
  const std::vector<MsixEntry> before = entries();
  ASSERT_THAT(before, Not(IsEmpty()));
  const auto mappings = host.mappings().size();
  ASSERT_GT(mappings, 0U);

  ASSERT_TRUE(port->power(false));
  EXPECT_FALSE(device->check_health());
  EXPECT_THAT(events(), ElementsAre(Event::Kind::DeviceSilent));
  EXPECT_THAT(host.mappings(), IsEmpty());
  EXPECT_EQ(device->config_read(0, 4), UINT32_MAX);

  ASSERT_TRUE(port->power(true));
  ASSERT_NE(entries(), before) << "the device lost its state";
  const auto checked = device->check_health();
  ASSERT_TRUE(checked) << checked.error().message();
  EXPECT_EQ(*checked, kVectors) << "vectors restored";
  EXPECT_EQ(entries(), before);
  EXPECT_EQ(host.mappings().size(), mappings);
  EXPECT_EQ(device->config_read(PCI_COMMAND, 2) & kMemoryAndMaster, kMemoryAndMaster);
  EXPECT_THAT(events(), ElementsAre(Event::Kind::DeviceSilent, Event::Kind::DamageRestored,
                                    Event::Kind::DeviceAnswers));
  EXPECT_THAT(host.delivered(), ElementsAre(message_of(0), message_of(1))) << "each once";
}

TEST_F(SilentOnVfio, Case15ADeviceThatStaysWithoutPowerIsGivenUp) {
  open(100ms);
  if (IsSkipped() || HasFatalFailure()) return;
  start_driver();
  ASSERT_TRUE(port->power(false));
  EXPECT_TRUE(eventually([this] {
    EXPECT_FALSE(device->check_health());
    return !device->inspect().detached.empty();
  }));
  EXPECT_THAT(events(), ElementsAre(Event::Kind::DeviceSilent, Event::Kind::DeviceGone));
}

}  // namespace
}  // namespace passthru
