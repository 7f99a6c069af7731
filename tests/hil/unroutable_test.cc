// SPDX-License-Identifier: MIT
// Tests on real VFIO that a vector whose message is not an interrupt delivers nothing and affects
// no other vector: with the MSI-X vectors of every bound device, signalled by the kernel's
// loopback, and with QEMU's edu, which signals its MSI itself.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <linux/pci_regs.h>

#include <chrono>
#include <thread>

#include "tests/hil/assigned_edu.h"
#include "tests/hil/msix_on_vfio.h"

namespace passthru {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr uint32_t kMemory = 0x1000;  // a memory address

class UnroutableMsix : public MsixOnVfio {
 protected:
  void SetUp() override {
    MsixOnVfio::SetUp();
    if (IsSkipped() || HasFatalFailure()) return;
    enable(3);
  }
  void put_address(unsigned vector, uint32_t address) {
    put_message(vector, {address, message_of(vector).data});
  }
  void signal_all() { signal(0, 3); }

  void vector_failed(unsigned vector, const Error& error) override {
    EXPECT_EQ(vector, 1U) << error.message();
    ++told;
  }

  unsigned told = 0;
};

TEST_P(UnroutableMsix, DeliversNothingAndTheOthersWork) {
  signal_all();
  EXPECT_THAT(host.delivered(), ElementsAre(message_of(0), message_of(1), message_of(2)));
  const uint64_t calls = msix->counters().set_irqs_calls;

  put_address(1, kMemory);
  signal_all();
  EXPECT_THAT(host.delivered(), ElementsAre(message_of(0), message_of(2)));
  auto states = msix->inspect();
  EXPECT_THAT(states[1].unroutable, HasSubstr("0x1000 is not an interrupt address"));
  EXPECT_TRUE(states[1].pending);
  EXPECT_EQ(states[0].unroutable, "");
  EXPECT_EQ(states[2].unroutable, "");

  put_address(1, 0xfee0'0000);
  EXPECT_THAT(host.delivered(), ElementsAre(message_of(1))) << "the signal of the meantime";
  signal_all();
  EXPECT_EQ(host.delivered().size(), 3U);
  EXPECT_EQ(msix->inspect()[1].unroutable, "");
  EXPECT_EQ(told, 1U);
  EXPECT_EQ(msix->counters().set_irqs_calls, calls);
}

TEST_P(UnroutableMsix, AnInvalidationMovesTheVectorsConcernedWithoutSetIrqs) {
  const uint64_t calls = msix->counters().set_irqs_calls;
  uint64_t cpu = 3;
  host.translation = [&](const MsiMessage& message, uint16_t) -> Result<MsiMessage> {
    return MsiMessage{message.address | cpu << 12, message.data};
  };
  msix->retranslate([](const MsiMessage& message) { return message.data == 0x41; });
  signal_all();
  EXPECT_THAT(host.delivered(),
              ElementsAre(message_of(0), MsiMessage{0xfee0'3000, 0x41}, message_of(2)));
  EXPECT_EQ(msix->counters().set_irqs_calls, calls);
}

GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(UnroutableMsix);
INSTANTIATE_TEST_SUITE_P(Linux, UnroutableMsix, testing::ValuesIn(devices_with_msix()),
                         [](const auto& each) { return each.param.name(); });

class UnroutableMsi : public AssignedEdu {
 protected:
  void SetUp() override {
    open();
    if (IsSkipped() || HasFatalFailure()) return;
    host.events.clear();  // nothing resets an edu on the root bus
    msi = msi_capability();
    ASSERT_NE(msi, 0U);
  }
  /// Makes the device send its message.
  void raise() {
    write(kRaise, 1);
    write(kAcknowledge, 1);
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
  }

  uint32_t msi = 0;
};

TEST_F(UnroutableMsi, OfADeviceThatSignalsItIsNamedAndDeliveredOnceCorrected) {
  device->config_write(msi + PCI_MSI_ADDRESS_LO, 4, kMemory);
  device->config_write(msi + PCI_MSI_DATA_64, 2, message_of(1).data);
  device->config_write(msi + PCI_MSI_FLAGS, 2, PCI_MSI_FLAGS_ENABLE);
  raise();
  EXPECT_THAT(host.delivered(), IsEmpty());
  const Inspection seen = device->inspect();
  ASSERT_FALSE(seen.vectors.empty());
  EXPECT_THAT(seen.vectors[0].unroutable, HasSubstr("0x1000 is not an interrupt address"));
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
