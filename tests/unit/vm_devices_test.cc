// SPDX-License-Identifier: MIT
// Owns the devices that the VMM itself has: the PCI bus's two doors, the serial port, power.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <deque>
#include <initializer_list>
#include <memory>
#include <string>
#include <vector>

#include "vmm/bytes.h"
#include "vmm/host_bridge.h"
#include "vmm/memory_map.h"
#include "vmm/pci_bus.h"
#include "vmm/power.h"
#include "vmm/serial.h"

namespace passthru {
namespace {

using testing::ElementsAre;

uint64_t read(AccessTarget& target, uint64_t offset, size_t width) {
  std::array<std::byte, 8> data{};
  target.read(offset, std::span(data).first(width));
  return from_bytes(std::span(data).first(width));
}

void write(AccessTarget& target, uint64_t offset, size_t width, uint64_t value) {
  std::array<std::byte, 8> data{};
  to_bytes(value, std::span(data).first(width));
  target.write(offset, std::span<const std::byte>(data).first(width));
}

/// Every byte of its config space is its offset's low byte; remembers accesses.
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
  point_ports_at(3, 0xFC);  // a double word over the same port is not a reset
  EXPECT_EQ(resets_, 1);
}

TEST_F(PciBusTest, ASlotTakesOneFunctionAndThereAreThirtyTwo) {
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

TEST(PowerRegisters, PowersOffOnTheSleepTypeOfS5AndNoOther) {
  int offs = 0;
  PowerRegisters power([&] { ++offs; });
  write(power, PowerRegisters::kPm1Control, 2, 5 << 10);            // no SLP_EN
  write(power, PowerRegisters::kPm1Control, 2, 1 << 13 | 3 << 10);  // S3
  write(power, PowerRegisters::kPm1Event, 2, 1 << 13 | 5 << 10);
  EXPECT_EQ(offs, 0);
  write(power, PowerRegisters::kPm1Control, 2, 1 << 13 | 5 << 10);
  EXPECT_EQ(offs, 1);
}

TEST(PowerRegisters, AreAlwaysInAcpiModeAndKeepWhatIsEnabled) {
  PowerRegisters power([] {});
  EXPECT_EQ(read(power, PowerRegisters::kPm1Control, 2) & 1, 1u);
  write(power, PowerRegisters::kPm1Event + 2, 2, 0x0120);
  EXPECT_EQ(read(power, PowerRegisters::kPm1Event + 2, 2), 0x0120u);
  EXPECT_EQ(read(power, PowerRegisters::kPm1Event, 4), 0x01200000u);
}

TEST(PowerRegisters, TheTimerCountsUp) {
  PowerRegisters power([] {});
  const uint64_t first = read(power, PowerRegisters::kPmTimer, 4);
  uint64_t later = first;
  for (int i = 0; i < 10'000'000 && later == first; ++i) {
    later = read(power, PowerRegisters::kPmTimer, 4);
  }
  EXPECT_GT(later, first);
  EXPECT_LT(later - first, 3579545u);
}

TEST(KeyboardReset, ResetsOnThePulseCommandOnly) {
  int resets = 0;
  KeyboardReset keyboard([&] { ++resets; });
  EXPECT_EQ(read(keyboard, 0, 1), 0u);
  write(keyboard, 0, 1, 0xAA);
  EXPECT_EQ(resets, 0);
  write(keyboard, 0, 1, 0xFE);
  EXPECT_EQ(resets, 1);
}

class SerialTest : public testing::Test {
 protected:
  void SetUp() override { write(serial_, 4, 1, 0x08); }  // OUT2: the line is connected
  void receive(const std::string& text) { serial_.receive(std::as_bytes(std::span(text))); }

  std::string sent_;
  std::vector<bool> line_;
  int rooms_ = 0;
  Serial serial_{{.interrupt = [this](bool level) { line_.push_back(level); },
                  .send = [this](std::byte byte) { sent_ += static_cast<char>(byte); },
                  .room = [this] { ++rooms_; }}};
};

TEST_F(SerialTest, SendsWhatIsWrittenAndIsReadyAtOnce) {
  for (const char c : std::string("hi")) {
    EXPECT_EQ(read(serial_, 5, 1) & 0x60, 0x60u);
    write(serial_, 0, 1, static_cast<uint64_t>(c));
  }
  EXPECT_EQ(sent_, "hi");
}

TEST_F(SerialTest, EachSentByteIsAnInterruptOfItsOwn) {
  write(serial_, 1, 1, 0x02);
  EXPECT_THAT(line_, ElementsAre(true));
  EXPECT_EQ(read(serial_, 2, 1), 0x02u);
  EXPECT_EQ(read(serial_, 2, 1), 0x01u) << "reading the cause takes it away";
  EXPECT_THAT(line_, ElementsAre(true, false));
  write(serial_, 0, 1, 'a');
  write(serial_, 0, 1, 'b');
  EXPECT_THAT(line_, ElementsAre(true, false, true, false, true)) << "an edge for each";
}

TEST_F(SerialTest, ReceivedBytesInterruptUntilAllAreRead) {
  write(serial_, 1, 1, 0x01);
  receive("ab");
  EXPECT_THAT(line_, ElementsAre(true));
  EXPECT_EQ(read(serial_, 2, 1) & 0xF, 0x04u);
  EXPECT_EQ(read(serial_, 5, 1) & 1, 1u);
  EXPECT_EQ(read(serial_, 0, 1), 'a');
  EXPECT_THAT(line_, ElementsAre(true));
  EXPECT_EQ(read(serial_, 0, 1), 'b');
  EXPECT_THAT(line_, ElementsAre(true, false));
  EXPECT_EQ(read(serial_, 5, 1) & 1, 0u);
}

TEST_F(SerialTest, KeepsTheLineLowWhileOut2IsClear) {
  write(serial_, 4, 1, 0);
  write(serial_, 1, 1, 0x01);
  receive("a");
  EXPECT_TRUE(line_.empty());
  write(serial_, 4, 1, 0x08);
  EXPECT_THAT(line_, ElementsAre(true));
}

TEST_F(SerialTest, DropsWhatFindsNoRoomAndTellsWhenThereIsRoomAgain) {
  receive(std::string(Serial::kFifoSize + 10, 'x'));
  EXPECT_EQ(serial_.room(), 0u);
  EXPECT_EQ(rooms_, 0);
  read(serial_, 0, 1);
  EXPECT_EQ(rooms_, 1);
  EXPECT_EQ(serial_.room(), 1u);
  read(serial_, 0, 1);
  EXPECT_EQ(rooms_, 1) << "only a full queue has somebody waiting";
}

TEST_F(SerialTest, ClearingTheReceiverMakesRoom) {
  receive(std::string(Serial::kFifoSize, 'x'));
  write(serial_, 2, 1, 0x07);
  EXPECT_EQ(rooms_, 1);
  EXPECT_EQ(serial_.room(), Serial::kFifoSize);
}

TEST_F(SerialTest, LoopsBackToItselfAndSendsNothingThen) {
  write(serial_, 4, 1, 0x1A);  // as Linux probes: loop, OUT2, RTS
  EXPECT_EQ(read(serial_, 6, 1) & 0xF0, 0x90u);
  EXPECT_EQ(serial_.room(), 0u) << "the line is cut";
  write(serial_, 0, 1, 'q');
  EXPECT_EQ(read(serial_, 0, 1), 'q');
  EXPECT_EQ(sent_, "");
  write(serial_, 4, 1, 0x08);
  EXPECT_EQ(rooms_, 1);
}

TEST_F(SerialTest, LoopbackCannotGrowTheQueue) {
  write(serial_, 4, 1, 0x10);
  for (int i = 0; i < 1000; ++i) write(serial_, 0, 1, 'x');
  write(serial_, 4, 1, 0x00);
  EXPECT_EQ(serial_.room(), 0u);
  for (size_t i = 0; i < Serial::kFifoSize; ++i) EXPECT_EQ(read(serial_, 0, 1), 'x');
  EXPECT_EQ(read(serial_, 5, 1) & 1, 0u);
}

TEST_F(SerialTest, TheDivisorHidesBehindItsLatch) {
  write(serial_, 3, 1, 0x80);
  write(serial_, 0, 1, 0x01);
  write(serial_, 1, 1, 0x02);
  EXPECT_EQ(read(serial_, 0, 1), 0x01u);
  EXPECT_EQ(read(serial_, 1, 1), 0x02u);
  write(serial_, 3, 1, 0x03);
  EXPECT_EQ(sent_, "");
  EXPECT_EQ(read(serial_, 1, 1), 0x00u);
}

TEST_F(SerialTest, IsFoundToBeA16550A) {
  write(serial_, 2, 1, 0x01);
  EXPECT_EQ(read(serial_, 2, 1) & 0xC0, 0xC0u);
  write(serial_, 7, 1, 0x5A);
  EXPECT_EQ(read(serial_, 7, 1), 0x5Au);
}

}  // namespace
}  // namespace passthru
