// SPDX-License-Identifier: MIT
// A small NVMe driver in user space, for tests that need real interrupts and DMA. It starts the
// controller, creates a pair of queues for each vector, and reads blocks.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "tests/hil/nvme_driver/nvme_queue.h"

namespace passthru {

/// Memory that a device reaches by DMA.
struct DmaMemory {
  std::span<std::byte> memory{};
  uint64_t address = 0;  ///< DMA address of the first byte
};

/// The identification data of a drive.
struct NvmeIdentity {
  std::string model{};
  std::string serial{};
  uint64_t blocks = 0;      ///< of namespace 1
  uint32_t block_size = 0;  ///< bytes
};

/// A drive. Not thread-safe. It is independent of VFIO and of interrupts: when vector N fires, the
/// caller calls `take(N)`.
class NvmeDriver {
 public:
  static constexpr size_t kPage = 4096;
  /// Bytes of BAR 0 that the driver accesses: the controller's registers and the doorbells.
  static constexpr size_t kRegisters = 0x2000;
  /// Returns the bytes of DMA memory that `queues` I/O queues need.
  static constexpr size_t dma_size(unsigned queues) {
    return (size_t{queues} + 1) * kPagesOfQueue * kPage;
  }

  /// Resets the controller, starts it, and identifies it. `registers` are the first kRegisters
  /// bytes of BAR 0; `dma` is page aligned and all zeros. Both outlive the driver. The device must
  /// be bus master. Errors:
  /// - EIO: the controller does not become ready, or refuses a command.
  /// - ENOTSUP: it has larger pages, or doorbells beyond kRegisters.
  /// - ENOSPC: `dma` is too small for any queue.
  static Result<std::unique_ptr<NvmeDriver>> start(volatile std::byte* registers, DmaMemory dma);
  /// Stops the controller, and so its DMA.
  ~NvmeDriver();
  NvmeDriver(const NvmeDriver&) = delete;
  NvmeDriver& operator=(const NvmeDriver&) = delete;

  [[nodiscard]] const NvmeIdentity& identity() const { return identity_; }

  /// Creates I/O queues 1 to `wanted`, or as many as the drive and the DMA memory allow. Queue N
  /// signals vector N. Call it once, with MSI-X enabled. Returns the number of queues.
  /// Errors:
  /// - EIO: the controller refuses a queue.
  Result<unsigned> make_queues(unsigned wanted);

  /// Begins to read a block through I/O queue `queue`, counted from 1. A queue has one read at a
  /// time.
  void read(unsigned queue, uint64_t block);
  /// Takes the completion of `read` if it has arrived.
  std::optional<NvmeCompletion> take(unsigned queue) { return queues_[queue].take(); }
  /// Returns the block that the last read of a queue has read.
  [[nodiscard]] std::span<std::byte> data(unsigned queue) const;

 private:
  enum Part : size_t { kCommands, kCompletions, kData, kPagesOfQueue };

  NvmeDriver(volatile std::byte* registers, DmaMemory dma) : registers_(registers), dma_(dma) {}
  Result<void> reset();
  Result<void> enable();
  Result<void> identify();
  Result<uint32_t> admin(const char* what, const NvmeCommand& command);
  Result<void> become_ready(bool ready);
  void add_queue();
  [[nodiscard]] size_t offset(unsigned queue, Part part) const {
    return (size_t{queue} * kPagesOfQueue + part) * kPage;
  }
  [[nodiscard]] uint64_t address(unsigned queue, Part part) const {
    return dma_.address + offset(queue, part);
  }
  [[nodiscard]] uint32_t get32(size_t at) const;
  void put32(size_t at, uint32_t value);
  void put64(size_t at, uint64_t value);

  volatile std::byte* const registers_;
  const DmaMemory dma_;
  size_t doorbell_stride_ = 0;
  std::vector<NvmeQueue> queues_;  ///< the first is the admin queue
  NvmeIdentity identity_{};
};

}  // namespace passthru
