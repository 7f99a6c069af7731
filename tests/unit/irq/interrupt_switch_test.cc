// SPDX-License-Identifier: MIT
// Tests of a guest that switches between INTx, MSI and MSI-X, from every mode to every other. No
// signal is lost and no signal is delivered twice.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>
#include <string>
#include <tuple>

#include "tests/unit/device/assigned_fixture.h"

namespace passthru {
namespace {

enum class Kind { Intx, Msi, Msix };
const char* const kNames[] = {"Intx", "Msi", "Msix"};

constexpr uint32_t kMsiMask = kMsi + 0x10;
constexpr uint64_t kTable = kWindow + 0x2000;
const MsiMessage kMsiMessage{0xfee0'0000, 0x40};
const MsiMessage kMsixMessage{0xfee0'0000, 0x50};

class SwitchTest : public AssignedFixture {
 protected:
  void SetUp() override {
    FakeSpec spec = FakeSpec::nvme();
    spec.msi_vectors = 1;
    spec.msi_maskable = true;
    hardware = &plug(spec);
    open();
    place(kWindow);
    device->config_write(kMsi + 4, 4, static_cast<uint32_t>(kMsiMessage.address));
    device->config_write(kMsi + 12, 2, kMsiMessage.data);
    table_write(0, static_cast<uint32_t>(kMsixMessage.address));
    table_write(8, kMsixMessage.data);
    mask(Kind::Msix, false);
  }

  void table_write(uint64_t offset, uint32_t value) { mmio_write(kTable + offset, value); }
  void enable(Kind kind, bool on) {
    if (kind == Kind::Msi) device->config_write(kMsi + 2, 2, on ? 1 : 0);
    if (kind == Kind::Msix) device->config_write(kMsixControl, 2, on ? 0x8000 : 0);
  }
  /// Disables the old mode and enables the new one. INTx is active when MSI and MSI-X are disabled.
  void change(Kind from, Kind to) {
    enable(from, false);
    enable(to, true);
  }
  void mask(Kind kind, bool masked) {
    if (kind == Kind::Msi) device->config_write(kMsiMask, 4, masked ? 1 : 0);
    if (kind == Kind::Msix) table_write(12, masked ? 1 : 0);
  }
  /// Signals an interrupt. An INTx level stays until `acknowledge`.
  void signal(Kind kind) {
    if (kind == Kind::Intx) {
      hardware->set_intx(true);
    } else {
      EXPECT_EQ(hardware->fire(0), Fired::Delivered);
    }
  }
  void acknowledge(Kind kind) {
    if (kind != Kind::Intx) return;
    hardware->set_intx(false);
    host.end_of_intx();
  }
  /// Returns the modes that interrupted the guest since the last call, each once.
  std::string interrupts() {
    std::string kinds;
    if (host.intx_armed() && host.intx_delivered()) kinds += "Intx ";
    for (const MsiMessage& message : host.delivered()) {
      kinds += message == kMsiMessage ? "Msi " : message == kMsixMessage ? "Msix " : "other ";
    }
    return kinds;
  }
  static std::string once(Kind kind) {
    return std::string(kNames[static_cast<size_t>(kind)]) + " ";
  }
};

class Switch : public SwitchTest, public testing::WithParamInterface<std::tuple<Kind, Kind>> {
 protected:
  void SetUp() override {
    SwitchTest::SetUp();
    std::tie(from, to) = GetParam();
    enable(from, true);
  }
  /// Switches there and back. Each mode delivers what the device signals while it is on.
  void there_and_back() {
    change(from, to);
    signal(to);
    EXPECT_EQ(interrupts(), once(to));
    acknowledge(to);
    change(to, from);
    signal(from);
    EXPECT_EQ(interrupts(), once(from));
    acknowledge(from);
  }
  Kind from = Kind::Intx;
  Kind to = Kind::Intx;
};

TEST_P(Switch, TheNewKindDeliversAndTheOldOneIsBack) {
  for (int round = 0; round < 3; ++round) there_and_back();
  EXPECT_EQ(interrupts(), "");
  EXPECT_EQ(hardware->lost(), 0U);
}

TEST_P(Switch, WhatWasSignalledJustBeforeIsDelivered) {
  signal(from);
  change(from, to);
  // A message stays in flight across the switch; a level is seen again only when INTx is back.
  if (from == Kind::Intx) change(to, from);
  EXPECT_EQ(interrupts(), once(from));
}

TEST_P(Switch, WhatIsHeldBackMeanwhileIsDeliveredOnceOnTheWayBack) {
  mask(from, true);
  if (from != Kind::Intx) signal(from);
  change(from, to);
  EXPECT_EQ(interrupts(), "");
  if (from == Kind::Intx) signal(from);
  EXPECT_EQ(interrupts(), "") << "the device's old mode is disabled";
  change(to, from);
  mask(from, false);
  EXPECT_EQ(interrupts(), once(from));
  EXPECT_EQ(interrupts(), "");
}

TEST_P(Switch, WhatTheNewKindSignalsWhileTheOldOneIsHeldBackIsItsOwn) {
  mask(from, true);
  if (from != Kind::Intx) signal(from);
  change(from, to);
  signal(to);
  EXPECT_EQ(interrupts(), once(to));
}

TEST_P(Switch, ARefusalOfTheKernelLeavesAWayBack) {
  // Binding the new mode fails; the guest switches back.
  kernel->fail("VFIO_DEVICE_SET_IRQS", EIO, from == Kind::Intx ? 2 : 3);
  change(from, to);
  change(to, from);
  there_and_back();
}

std::string name_of(const testing::TestParamInfo<std::tuple<Kind, Kind>>& each) {
  const auto [from, to] = each.param;
  return std::string(kNames[static_cast<size_t>(from)]) + "To" + kNames[static_cast<size_t>(to)];
}

INSTANTIATE_TEST_SUITE_P(
    EveryPair, Switch,
    testing::Values(std::tuple(Kind::Intx, Kind::Msi), std::tuple(Kind::Intx, Kind::Msix),
                    std::tuple(Kind::Msi, Kind::Intx), std::tuple(Kind::Msi, Kind::Msix),
                    std::tuple(Kind::Msix, Kind::Intx), std::tuple(Kind::Msix, Kind::Msi)),
    name_of);

TEST_F(SwitchTest, AGuestThatEnablesBothHasMsixAndMsiAsSoonAsThatIsOff) {
  enable(Kind::Msi, true);
  enable(Kind::Msix, true);
  signal(Kind::Msix);
  EXPECT_EQ(interrupts(), "Msix ");
  enable(Kind::Msix, false);
  signal(Kind::Msi);
  EXPECT_EQ(interrupts(), "Msi ");
  enable(Kind::Msix, true);
  enable(Kind::Msi, false);
  signal(Kind::Msix);
  EXPECT_EQ(interrupts(), "Msix ");
  enable(Kind::Msi, true);
  signal(Kind::Msix);
  EXPECT_EQ(interrupts(), "Msix ") << "the order of enabling does not matter";
  EXPECT_TRUE(host.events.empty());
}

TEST_F(SwitchTest, InAnyOrderEachSignalIsDeliveredOnceByTheKindThatIsOn) {
  std::mt19937 random(5);
  bool msi = false;
  bool msix = false;
  for (int step = 0; step < 2000; ++step) {
    SCOPED_TRACE(step);
    bool& flag = random() % 2 == 0 ? msi : msix;
    flag = random() % 2 == 0;
    enable(&flag == &msi ? Kind::Msi : Kind::Msix, flag);
    const Kind now = msix ? Kind::Msix : msi ? Kind::Msi : Kind::Intx;
    signal(now);
    ASSERT_EQ(interrupts(), once(now));
    acknowledge(now);
  }
  EXPECT_EQ(hardware->lost(), 0U);
  EXPECT_TRUE(host.events.empty());
}

}  // namespace
}  // namespace passthru
