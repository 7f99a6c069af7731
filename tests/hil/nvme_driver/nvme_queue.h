// SPDX-License-Identifier: MIT
// A pair of queues of an NVMe drive, for commands and completions (NVM Express 1.4, 4.1). It works
// on memory and doorbells only, so that unit tests need no drive.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>

namespace passthru {

/// A submission queue entry (4.2).
struct NvmeCommand {
  uint8_t opcode = 0;
  uint32_t namespace_id = 0;
  uint64_t data = 0;                    ///< PRP entry 1: DMA address of the data
  std::array<uint32_t, 6> arguments{};  ///< command dwords 10 to 15
};

/// A completion queue entry (4.6).
struct NvmeCompletion {
  uint32_t result = 0;   ///< dword 0, which the command defines
  uint16_t command = 0;  ///< what `submit` returned
  uint16_t status = 0;   ///< status code type and status code; 0: success
};

/// A pair of queues. Not thread-safe. The drive shares the memory until the controller is disabled.
class NvmeQueue {
 public:
  static constexpr unsigned kEntries = 16;
  static constexpr size_t kCommandSize = 64;
  static constexpr size_t kCompletionSize = 16;

  struct Doorbells {
    volatile uint32_t* submission = nullptr;
    volatile uint32_t* completion = nullptr;
  };

  /// `commands` and `completions` have kEntries entries each, all zeros, 4-byte aligned.
  NvmeQueue(std::byte* commands, std::byte* completions, Doorbells doorbells)
      : commands_(commands), completions_(completions), doorbells_(doorbells) {}

  /// Gives a command to the drive, and returns its id. At most kEntries - 1 commands may be
  /// incomplete.
  uint16_t submit(const NvmeCommand& command) {
    const uint16_t id = next_id_++;
    std::array<uint32_t, kCommandSize / 4> words{};
    words[0] = command.opcode | uint32_t{id} << 16;
    words[1] = command.namespace_id;
    words[6] = static_cast<uint32_t>(command.data);
    words[7] = static_cast<uint32_t>(command.data >> 32);
    for (size_t i = 0; i < command.arguments.size(); ++i) words[10 + i] = command.arguments[i];
    std::memcpy(commands_ + tail_ * kCommandSize, words.data(), kCommandSize);
    tail_ = (tail_ + 1) % kEntries;
    // The drive must see the command before the doorbell.
    std::atomic_thread_fence(std::memory_order_seq_cst);
    *doorbells_.submission = tail_;
    return id;
  }

  /// Takes the oldest completion, if any.
  std::optional<NvmeCompletion> take() {
    auto* const entry = reinterpret_cast<uint32_t*>(completions_ + head_ * kCompletionSize);
    // The drive inverts the phase tag in each pass through the queue.
    const uint32_t last = std::atomic_ref(entry[3]).load(std::memory_order_acquire);
    if ((last >> 16 & 1) != phase_) return std::nullopt;
    const NvmeCompletion completion{.result = entry[0],
                                    .command = static_cast<uint16_t>(last),
                                    .status = static_cast<uint16_t>(last >> 17 & 0x7ff)};
    head_ = (head_ + 1) % kEntries;
    if (head_ == 0) phase_ ^= 1;
    *doorbells_.completion = head_;
    return completion;
  }

 private:
  std::byte* commands_;
  std::byte* completions_;
  Doorbells doorbells_;
  unsigned tail_ = 0;
  unsigned head_ = 0;
  uint32_t phase_ = 1;
  uint16_t next_id_ = 0;
};

}  // namespace passthru
