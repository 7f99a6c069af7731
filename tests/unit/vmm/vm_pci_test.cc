// SPDX-License-Identifier: MIT
// Tests of the VMM's PCI bus: both ways to config space, its functions, and their interrupt pins.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <memory>
#include <vector>

#include "tests/unit/vmm/target_access.h"
#include "vmm/host_bridge.h"
#include "vmm/memory_map.h"
#include "vmm/pci_bus.h"

namespace passthru {
namespace {

using testing::ElementsAre;

/// A function whose config bytes equal the low byte of their offset. It records accesses.
class Recorder final : public GuestFunction {
 public:
  uint32_t config_read(uint32_t offset, unsigned width) override {
    EXPECT_EQ(offset % width, 0u);
    EXPECT_LE(offset + width, 4096u);
    uint32_t value = 0;
    for (unsigned i = 0; i < width; ++i) value |= ((offset + i) & 0xFF) << (8 * i);
    return value;
  }
  void config_write(uint32_t offset, unsigned width, uint32_t value) override {
    EXPECT_EQ(offset % width, 0u);
    writes.push_back({offset, width, value});
  }
  std::vector<std::array<uint32_t, 3>> writes{};
};

class PciBusTest : public testing::Test {
 protected:
  PciBusTest() { EXPECT_TRUE(bus_.plug(3, recorder_)); }
  void point_ports_at(unsigned slot, unsigned offset) {
    write(ports_, 0, 4, 1u << 31 | slot << 11 | offset);
  }

  std::shared_ptr<Recorder> recorder_ = std::make_shared<Recorder>();
  PciBus bus_;
  Ecam ecam_{bus_};
  int resets_ = 0;
  ConfigPorts ports_{bus_, [this] { ++resets_; }};
  static constexpr uint64_t kSlot3 = 3 << 15;
};

TEST_F(PciBusTest, BothDoorsReachTheSameFunctionAtEveryWidth) {
  for (const unsigned offset : {0x00u, 0x41u, 0x42u, 0x44u, 0xFCu}) {
    for (const unsigned width : {1u, 2u, 4u}) {
      if (offset % width != 0) continue;
      uint64_t expected = 0;
      for (unsigned i = 0; i < width; ++i) expected |= uint64_t{(offset + i) & 0xFF} << (8 * i);
      EXPECT_EQ(read(ecam_, kSlot3 + offset, width), expected) << offset << '/' << width;
      point_ports_at(3, offset & 0xFC);
      EXPECT_EQ(read(ports_, 4 + offset % 4, width), expected) << offset << '/' << width;
    }
  }
}

TEST_F(PciBusTest, EcamReachesExtendedConfigSpaceAndThePortsDoNot) {
  EXPECT_EQ(read(ecam_, kSlot3 + 0xFFC, 4), 0xFFFEFDFCu);
  write(ports_, 0, 4, 1u << 31 | 0x0F000000 | 3 << 11);  // bits 27:24 are reserved on a PC
  write(ports_, 4, 1, 0x55);
  EXPECT_THAT(recorder_->writes, ElementsAre(std::array<uint32_t, 3>{0, 1, 0x55}));
}

TEST_F(PciBusTest, AbsentFunctionsReadAllOnesAndDropWrites) {
  for (const uint64_t address : {uint64_t{4 << 15}, kSlot3 + (1 << 12), kSlot3 + (1 << 20)}) {
    EXPECT_EQ(read(ecam_, address, 4), 0xFFFFFFFFu) << address;
    write(ecam_, address, 4, 0);
  }
  point_ports_at(4, 0);
  EXPECT_EQ(read(ports_, 4, 4), 0xFFFFFFFFu);
  EXPECT_TRUE(recorder_->writes.empty());
}

TEST_F(PciBusTest, AccessesThatAreNotNaturalAreDoneInNaturalPieces) {
  EXPECT_EQ(read(ecam_, kSlot3 + 0x41, 4), 0x44434241u);
  EXPECT_EQ(read(ecam_, kSlot3 + 0x40, 8), 0x4746454443424140u);
  write(ecam_, kSlot3 + 0x13, 4, 0x44332211);
  EXPECT_THAT(recorder_->writes, ElementsAre(std::array<uint32_t, 3>{0x13, 1, 0x11},
                                             std::array<uint32_t, 3>{0x14, 2, 0x3322},
                                             std::array<uint32_t, 3>{0x16, 1, 0x44}));
}

TEST_F(PciBusTest, ThePortsAreDeadWithoutTheEnableBit) {
  write(ports_, 0, 4, 3u << 11);
  EXPECT_EQ(read(ports_, 4, 4), 0xFFFFFFFFu);
  write(ports_, 4, 4, 0);
  EXPECT_TRUE(recorder_->writes.empty());
}

TEST_F(PciBusTest, OnlyAWholeDoubleWordIsTheConfigAddress) {
  point_ports_at(3, 0x40);
  write(ports_, 0, 1, 0x11);
  write(ports_, 2, 2, 0x2222);
  EXPECT_EQ(read(ports_, 0, 4), 1u << 31 | 3u << 11 | 0x40);
  EXPECT_EQ(read(ports_, 0, 1), 0xFFu);
}

TEST_F(PciBusTest, TheResetPortBetweenThemResetsOnItsCpuBitOnly) {
  write(ports_, kResetPort - kPciConfigPort, 1, 0x02);
  EXPECT_EQ(resets_, 0);
  write(ports_, kResetPort - kPciConfigPort, 1, 0x06);
  EXPECT_EQ(resets_, 1);
  point_ports_at(3, 0xFC);  // a double word that covers the port is not a reset
  EXPECT_EQ(resets_, 1);
}

TEST_F(PciBusTest, Case10BothDoorsReachEachFunctionOfASlot) {
  const auto second = std::make_shared<Recorder>();
  ASSERT_TRUE(bus_.plug(3, second, 5));
  write(ecam_, kSlot3 + (5 << 12) + 0x40, 4, 0x11);
  write(ports_, 0, 4, 1u << 31 | 3 << 11 | 5 << 8 | 0x44);
  write(ports_, 4, 4, 0x22);
  EXPECT_THAT(second->writes, ElementsAre(std::array<uint32_t, 3>{0x40, 4, 0x11},
                                          std::array<uint32_t, 3>{0x44, 4, 0x22}));
  EXPECT_TRUE(recorder_->writes.empty());
  EXPECT_EQ(read(ecam_, kSlot3 + (4 << 12), 4), 0xFFFFFFFFu);
  EXPECT_EQ(bus_.plug(3, second, 5).error().code, EBUSY);
  EXPECT_EQ(bus_.plug(3, second, 8).error().code, EINVAL);
}

TEST_F(PciBusTest, APlaceTakesOneFunctionAndThereAreThirtyTwoSlots) {
  EXPECT_EQ(bus_.plug(3, std::make_shared<Recorder>()).error().code, EBUSY);
  EXPECT_TRUE(bus_.plug(31, std::make_shared<Recorder>()));
  EXPECT_EQ(bus_.plug(32, std::make_shared<Recorder>()).error().code, EINVAL);
}

TEST(HostBridge, ReadsTheSameAtEveryWidth) {
  HostBridge bridge;
  EXPECT_EQ(bridge.config_read(0, 4), 0x00081B36u);
  EXPECT_EQ(bridge.config_read(0, 2), 0x1B36u);
  EXPECT_EQ(bridge.config_read(2, 2), 0x0008u);
  EXPECT_EQ(bridge.config_read(1, 1), 0x1Bu);
  EXPECT_EQ(bridge.config_read(0x0B, 1), 0x06u);
  EXPECT_EQ(bridge.config_read(0x10, 4), 0u);
}

TEST(IntxGsi, SwizzlesPinsOverEightInputs) {
  EXPECT_EQ(intx_gsi(0, 0), 16u);
  EXPECT_EQ(intx_gsi(1, 0), 17u);
  EXPECT_EQ(intx_gsi(1, 3), 20u);
  EXPECT_EQ(intx_gsi(31, 3), 18u);
}

}  // namespace
}  // namespace passthru
