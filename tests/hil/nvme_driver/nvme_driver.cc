// SPDX-License-Identifier: MIT
// The registers and admin commands that reads need. Section numbers are those of NVM Express 1.4.
#include "tests/hil/nvme_driver/nvme_driver.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <string_view>
#include <thread>

namespace passthru {
namespace {

// Registers (3.1).
constexpr size_t kCapabilities = 0x00;
constexpr size_t kConfiguration = 0x14;
constexpr size_t kStatus = 0x1c;
constexpr size_t kAdminQueueAttributes = 0x24;
constexpr size_t kAdminCommands = 0x28;
constexpr size_t kAdminCompletions = 0x30;
constexpr size_t kDoorbells = 0x1000;

constexpr uint32_t kEnable = 1;
constexpr uint32_t kEntrySizes = 4 << 20 | 6 << 16;  // a completion has 16 bytes, a command 64
constexpr uint32_t kReady = 1;
constexpr uint32_t kFatal = 2;

// Commands (5, 6) and their arguments.
constexpr uint8_t kCreateSubmissionQueue = 0x01;
constexpr uint8_t kCreateCompletionQueue = 0x05;
constexpr uint8_t kIdentify = 0x06;
constexpr uint8_t kSetFeatures = 0x09;
constexpr uint8_t kRead = 0x02;
constexpr uint32_t kIdentifyNamespace = 0;
constexpr uint32_t kIdentifyController = 1;
constexpr uint32_t kNumberOfQueues = 7;
constexpr uint32_t kContiguous = 1;
constexpr uint32_t kInterrupts = 2;
constexpr uint32_t kNamespace = 1;

// Drives are ready within seconds (CAP.TO). Emulated drives on a busy machine need longer.
constexpr std::chrono::seconds kPatience{60};

template <class Condition>
bool soon(Condition condition) {
  const auto end = std::chrono::steady_clock::now() + kPatience;
  while (!condition()) {
    if (std::chrono::steady_clock::now() >= end) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  return true;
}

// Returns a text field without its padding of spaces.
std::string text_of(const std::byte* from, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(from), size);
  return std::string(text.substr(0, text.find_last_not_of(' ') + 1));
}

template <class T>
T value_at(const std::byte* from) {
  T value{};
  std::memcpy(&value, from, sizeof value);
  return value;
}

}  // namespace

Result<std::unique_ptr<NvmeDriver>> NvmeDriver::start(volatile std::byte* registers,
                                                      DmaMemory dma) {
  if (dma.memory.size() < dma_size(1)) {
    return fail(ENOSPC, "start the drive", "the DMA memory is too small for a queue");
  }
  std::unique_ptr<NvmeDriver> driver(new NvmeDriver(registers, dma));
  PASSTHRU_TRY(driver->reset());
  PASSTHRU_TRY(driver->enable());
  PASSTHRU_TRY(driver->identify());
  return driver;
}

NvmeDriver::~NvmeDriver() {
  ignore(reset(), "the next owner of the device resets it");
}

Result<void> NvmeDriver::reset() {
  put32(kConfiguration, 0);
  return become_ready(false);
}

// 7.6.1: Initialization.
Result<void> NvmeDriver::enable() {
  const uint32_t high = get32(kCapabilities + 4);
  doorbell_stride_ = size_t{4} << (high & 0xf);
  const size_t pairs = dma_.memory.size() / dma_size(0);
  if (kDoorbells + pairs * 2 * doorbell_stride_ > kRegisters) {
    return fail(ENOTSUP, "start the drive", "the distance of its doorbells is too large");
  }
  if ((high >> 16 & 0xf) != 0) return fail(ENOTSUP, "start the drive", "it lacks 4 KiB pages");
  add_queue();
  const uint32_t last = NvmeQueue::kEntries - 1;
  put32(kAdminQueueAttributes, last << 16 | last);
  put64(kAdminCommands, address(0, kCommands));
  put64(kAdminCompletions, address(0, kCompletions));
  put32(kConfiguration, kEntrySizes | kEnable);
  return become_ready(true);
}

Result<void> NvmeDriver::become_ready(bool ready) {
  const bool done = soon([&] {
    const uint32_t status = get32(kStatus);
    return (status & kFatal) != 0 || ((status & kReady) != 0) == ready;
  });
  const uint32_t status = get32(kStatus);
  if (done && ((status & kReady) != 0) == ready) return {};
  return fail(EIO, ready ? "start the drive" : "stop the drive",
              fmt::format("its status is {:#x}", status));
}

Result<void> NvmeDriver::identify() {
  NvmeCommand command{.opcode = kIdentify, .data = address(0, kData)};
  command.arguments[0] = kIdentifyController;
  PASSTHRU_TRY(admin("identify the controller", command));
  const std::byte* const found = dma_.memory.data() + offset(0, kData);
  identity_.serial = text_of(found + 4, 20);
  identity_.model = text_of(found + 24, 40);
  command.namespace_id = kNamespace;
  command.arguments[0] = kIdentifyNamespace;
  PASSTHRU_TRY(admin("identify the namespace", command));
  identity_.blocks = value_at<uint64_t>(found);
  const auto format = static_cast<size_t>(found[26] & std::byte{0xf});
  const uint32_t shift = value_at<uint32_t>(found + 128 + 4 * format) >> 16 & 0xff;
  identity_.block_size = 1U << std::min(shift, 31U);
  if (identity_.blocks != 0 && shift >= 9 && identity_.block_size <= kPage) return {};
  return fail(ENOTSUP, "read the drive",
              "the blocks of namespace 1 are missing or larger than 4 KiB");
}

Result<unsigned> NvmeDriver::make_queues(unsigned wanted) {
  wanted = std::min(wanted, static_cast<unsigned>(dma_.memory.size() / dma_size(0)) - 1);
  NvmeCommand ask{.opcode = kSetFeatures};
  ask.arguments = {kNumberOfQueues, (wanted - 1) << 16 | (wanted - 1)};
  const uint32_t last = PASSTHRU_TRY(admin("set the number of queues", ask));
  wanted = std::min({wanted, (last & 0xffff) + 1, (last >> 16) + 1});
  for (unsigned queue = 1; queue <= wanted; ++queue) {
    const uint32_t shape = (NvmeQueue::kEntries - 1) << 16 | queue;
    NvmeCommand completions{.opcode = kCreateCompletionQueue, .data = address(queue, kCompletions)};
    completions.arguments = {shape, queue << 16 | kInterrupts | kContiguous};
    PASSTHRU_TRY(admin("create a completion queue", completions));
    NvmeCommand commands{.opcode = kCreateSubmissionQueue, .data = address(queue, kCommands)};
    commands.arguments = {shape, queue << 16 | kContiguous};
    PASSTHRU_TRY(admin("create a submission queue", commands));
    add_queue();
  }
  return wanted;
}

// Polls the completion: the driver does not use the admin queue's interrupt.
Result<uint32_t> NvmeDriver::admin(const char* what, const NvmeCommand& command) {
  queues_[0].submit(command);
  std::optional<NvmeCompletion> completion;
  if (!soon([&] { return (completion = queues_[0].take()).has_value(); })) {
    return fail(EIO, what, "the drive does not answer");
  }
  if (completion->status == 0) return completion->result;
  return fail(EIO, what, fmt::format("the drive returned status {:#x}", completion->status));
}

void NvmeDriver::add_queue() {
  const auto queue = static_cast<unsigned>(queues_.size());
  volatile std::byte* const doorbell = registers_ + kDoorbells + 2 * queue * doorbell_stride_;
  queues_.emplace_back(
      dma_.memory.data() + offset(queue, kCommands),
      dma_.memory.data() + offset(queue, kCompletions),
      NvmeQueue::Doorbells{
          .submission = reinterpret_cast<volatile uint32_t*>(doorbell),
          .completion = reinterpret_cast<volatile uint32_t*>(doorbell + doorbell_stride_)});
}

void NvmeDriver::read(unsigned queue, uint64_t block) {
  NvmeCommand command{.opcode = kRead, .namespace_id = kNamespace, .data = address(queue, kData)};
  command.arguments = {static_cast<uint32_t>(block), static_cast<uint32_t>(block >> 32)};
  queues_[queue].submit(command);
}

std::span<std::byte> NvmeDriver::data(unsigned queue) const {
  return dma_.memory.subspan(offset(queue, kData), identity_.block_size);
}

uint32_t NvmeDriver::get32(size_t at) const {
  return *reinterpret_cast<const volatile uint32_t*>(registers_ + at);
}

void NvmeDriver::put32(size_t at, uint32_t value) {
  *reinterpret_cast<volatile uint32_t*>(registers_ + at) = value;
}

void NvmeDriver::put64(size_t at, uint64_t value) {
  put32(at, static_cast<uint32_t>(value));
  put32(at + 4, static_cast<uint32_t>(value >> 32));
}

}  // namespace passthru
