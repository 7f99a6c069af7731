// SPDX-License-Identifier: MIT
// Tests of the VMM's serial port.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "tests/unit/vmm/target_access.h"
#include "vmm/serial.h"

namespace passthru {
namespace {

using testing::ElementsAre;

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
  EXPECT_EQ(read(serial_, 2, 1), 0x01u) << "reading the cause clears it";
  EXPECT_THAT(line_, ElementsAre(true, false));
  write(serial_, 0, 1, 'a');
  write(serial_, 0, 1, 'b');
  EXPECT_THAT(line_, ElementsAre(true, false, true, false, true)) << "one edge for each byte";
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
  EXPECT_EQ(rooms_, 1) << "only a queue that was full has a waiting sender";
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
  EXPECT_EQ(serial_.room(), 0u) << "loopback cuts the line";
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
