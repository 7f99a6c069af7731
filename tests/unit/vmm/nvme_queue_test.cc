// SPDX-License-Identifier: MIT
// Tests of the queues of the tests' own NVMe driver; the test plays the drive.
#include "tests/hil/nvme_driver/nvme_queue.h"

#include <gtest/gtest.h>

#include <array>
#include <cstring>

namespace passthru {
namespace {

class NvmeQueueTest : public ::testing::Test {
 protected:
  /// Completes a command in the next entry of the completion queue, as the drive does.
  void complete(uint16_t command, uint32_t result = 0, uint16_t status = 0) {
    const std::array<uint32_t, 4> words = {result, 0, 0,
                                           command | phase_ << 16 | uint32_t{status} << 17};
    std::memcpy(completions_.data() + completed_ * NvmeQueue::kCompletionSize, words.data(),
                NvmeQueue::kCompletionSize);
    completed_ = (completed_ + 1) % NvmeQueue::kEntries;
    if (completed_ == 0) phase_ ^= 1;
  }
  /// Returns a dword of a command.
  uint32_t word(unsigned entry, unsigned number) {
    uint32_t value = 0;
    std::memcpy(&value, commands_.data() + entry * NvmeQueue::kCommandSize + number * 4, 4);
    return value;
  }

  alignas(64) std::array<std::byte, NvmeQueue::kEntries * NvmeQueue::kCommandSize> commands_{};
  alignas(
      64) std::array<std::byte, NvmeQueue::kEntries * NvmeQueue::kCompletionSize> completions_{};
  uint32_t submission_doorbell = ~0U;
  uint32_t completion_doorbell = ~0U;
  NvmeQueue queue{commands_.data(),
                  completions_.data(),
                  {.submission = &submission_doorbell, .completion = &completion_doorbell}};

 private:
  unsigned completed_ = 0;
  uint32_t phase_ = 1;
};

TEST_F(NvmeQueueTest, ACommandIsInItsEntryBeforeTheDoorbellNamesTheNext) {
  NvmeCommand command{.opcode = 2, .namespace_id = 1, .data = 0x1'2345'6000};
  command.arguments = {10, 11, 12, 13, 14, 15};
  EXPECT_EQ(queue.submit(command), 0U);
  EXPECT_EQ(queue.submit(command), 1U);
  EXPECT_EQ(submission_doorbell, 2U);
  EXPECT_EQ(word(1, 0), 2U | 1U << 16) << "opcode and command id";
  EXPECT_EQ(word(1, 1), 1U) << "namespace";
  EXPECT_EQ(word(1, 6), 0x2345'6000U) << "data, low";
  EXPECT_EQ(word(1, 7), 1U) << "data, high";
  for (unsigned argument = 10; argument <= 15; ++argument) EXPECT_EQ(word(1, argument), argument);
}

TEST_F(NvmeQueueTest, ACompletionIsTakenOnce) {
  EXPECT_FALSE(queue.take());
  complete(7, 0x00030003, 0x281);
  const auto taken = queue.take();
  ASSERT_TRUE(taken);
  EXPECT_EQ(taken->command, 7U);
  EXPECT_EQ(taken->result, 0x00030003U);
  EXPECT_EQ(taken->status, 0x281U);
  EXPECT_EQ(completion_doorbell, 1U);
  EXPECT_FALSE(queue.take());
}

TEST_F(NvmeQueueTest, EntriesOfTheRoundBeforeAreNoCompletions) {
  for (unsigned round = 0; round < 3; ++round) {
    for (unsigned entry = 0; entry < NvmeQueue::kEntries; ++entry) {
      ASSERT_FALSE(queue.take()) << round << ' ' << entry;
      const uint16_t id = queue.submit({});
      complete(id);
      const auto taken = queue.take();
      ASSERT_TRUE(taken) << round << ' ' << entry;
      EXPECT_EQ(taken->command, id);
    }
    EXPECT_EQ(submission_doorbell, 0U);
    EXPECT_EQ(completion_doorbell, 0U);
  }
}

}  // namespace
}  // namespace passthru
