// SPDX-License-Identifier: MIT
// Tests on real VFIO that a second VMM goes on with a device without a reset, on duplicates of the
// first VMM's descriptors. QEMU's edu signals an interrupt when a register is written.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <linux/pci_regs.h>

#include <array>
#include <cstddef>
#include <vector>

#include "tests/fakes/eventually.h"
#include "tests/fakes/handed_over.h"
#include "tests/hil/assigned_edu.h"

namespace passthru {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

class Handover : public AssignedEdu {
 protected:
  static constexpr uint64_t kInterruptStatus = 0x24;
  static constexpr MsiMessage kMessage{0xfee00000, 0x41};

  void enable_msi() {
    const uint32_t msi = msi_capability();
    ASSERT_NE(msi, 0U);
    device->config_write(msi + PCI_MSI_ADDRESS_LO, 4, static_cast<uint32_t>(kMessage.address));
    device->config_write(msi + PCI_MSI_DATA_64, 2, kMessage.data);
    device->config_write(msi + PCI_MSI_FLAGS, 2, PCI_MSI_FLAGS_ENABLE);
  }
  static std::vector<uint32_t> config_of(AssignedDevice& of) {
    std::vector<uint32_t> bytes;
    for (uint32_t at = 0; at < PCI_CFG_SPACE_SIZE; ++at) bytes.push_back(of.config_read(at, 1));
    return bytes;
  }
  /// Saves the device and loads it into the second VMM. Then the first VMM closes it.
  void go_on() {
    ASSERT_TRUE(next_domain.add_memory(0, memory_));
    const Bdf bdf = borrowed->bdf();
    auto opened = AssignedDevice::open(
        next_domain, {.device = bdf, .guest_address = {.device = 1}, .start = DeviceStart::Keep},
        handed_over(*device, next_domain));
    ASSERT_TRUE(opened) << opened.error().message();
    next = std::move(*opened);
    const auto state = device->save_state();
    ASSERT_TRUE(state) << state.error().message();
    const auto loaded = next->load_state(*state);
    ASSERT_TRUE(loaded) << loaded.error().message();
    device.reset();
  }
  uint32_t next_read(uint64_t offset) {
    uint32_t value = 0;
    EXPECT_TRUE(
        next_domain.mmio().read(kGuest + offset, std::as_writable_bytes(std::span(&value, 1))));
    return value;
  }
  void next_write(uint64_t offset, uint32_t value) {
    EXPECT_TRUE(next_domain.mmio().write(kGuest + offset, std::as_bytes(std::span(&value, 1))));
  }
  static std::vector<MsiMessage> soon_delivered(FakeHypervisor& of) {
    std::vector<MsiMessage> messages;
    eventually([&] { return !(messages = of.delivered()).empty(); });
    return messages;
  }

  alignas(4096) static inline std::array<std::byte, 4096> memory_{};
  FakeHypervisor next_host{*kernel};
  Domain next_domain{kernel, next_host};
  std::unique_ptr<AssignedDevice> next;
};

TEST_F(Handover, TheNextVmmFindsTheRegistersAndGetsTheMessages) {
  open();
  if (IsSkipped() || HasFatalFailure()) return;
  ASSERT_TRUE(domain.add_memory(0, memory_));
  enable_msi();
  write(kRaise, 2);
  ASSERT_THAT(soon_delivered(host), ElementsAre(kMessage));
  const auto config = config_of(*device);
  go_on();
  ASSERT_FALSE(HasFatalFailure());
  EXPECT_EQ(config_of(*next), config);
  EXPECT_EQ(next_read(kInterruptStatus), 2U) << "the device was not reset";
  EXPECT_THAT(soon_delivered(next_host), ElementsAre(kMessage)) << "each live vector, once";
  next_write(kRaise, 4);
  EXPECT_THAT(soon_delivered(next_host), ElementsAre(kMessage));
  EXPECT_EQ(next_read(kInterruptStatus), 6U);
  next_write(kAcknowledge, 6);
  EXPECT_THAT(host.delivered(), IsEmpty());
}

TEST_F(Handover, ALineThatIsAssertedBetweenTheVmmsFiresInTheNext) {
  open();
  if (IsSkipped() || HasFatalFailure()) return;
  ASSERT_TRUE(domain.add_memory(0, memory_));
  write(kRaise, 1);
  ASSERT_TRUE(eventually([this] { return host.intx_delivered(); }));
  go_on();
  ASSERT_FALSE(HasFatalFailure());
  EXPECT_TRUE(eventually([this] { return next_host.intx_delivered(); }));
  next_write(kAcknowledge, 1);
  next_host.end_of_intx();
  EXPECT_EQ(next_read(kInterruptStatus), 0U);
}

}  // namespace
}  // namespace passthru
