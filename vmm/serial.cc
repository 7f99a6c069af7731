// SPDX-License-Identifier: MIT
// The registers of the 16550A (National PC16550D data sheet, section 8).
#include "vmm/serial.h"

#include <optional>

namespace passthru {
namespace {

enum Register : uint64_t {
  kData = 0,             // DLL while DLAB is set
  kInterruptEnable = 1,  // DLM while DLAB is set
  kInterruptIdentity = 2,
  kFifoControl = 2,
  kLineControl = 3,
  kModemControl = 4,
  kLineStatus = 5,
  kModemStatus = 6,
  kScratch = 7,
};

constexpr uint8_t kIerReceived = 0x01, kIerTransmitterEmpty = 0x02, kIerMask = 0x0F;
constexpr uint8_t kIirNone = 0x01, kIirTransmitterEmpty = 0x02, kIirReceived = 0x04;
constexpr uint8_t kIirFifosEnabled = 0xC0;
constexpr uint8_t kFcrEnable = 0x01, kFcrClearReceiver = 0x02;
constexpr uint8_t kLcrDivisorLatch = 0x80;
constexpr uint8_t kMcrOut2 = 0x08, kMcrLoop = 0x10, kMcrMask = 0x1F;
constexpr uint8_t kLsrReceived = 0x01, kLsrTransmitterIdle = 0x60;
constexpr uint8_t kMsrClearToSend = 0x10, kMsrDataSetReady = 0x20, kMsrCarrierDetect = 0x80;

// In loopback the modem's inputs are wired to its outputs: DTR, RTS, OUT1, OUT2 in MCR 3:0 appear
// as DSR, CTS, RI, DCD in MSR 5, 4, 6, 7.
uint8_t looped_modem_status(uint8_t modem_control) {
  const unsigned dtr = modem_control & 1u, rts = modem_control >> 1 & 1u;
  const unsigned out1 = modem_control >> 2 & 1u, out2 = modem_control >> 3 & 1u;
  return static_cast<uint8_t>(rts << 4 | dtr << 5 | out1 << 6 | out2 << 7);
}

}  // namespace

size_t Serial::room() {
  MutexLock lock(registers_mutex_);
  return modem_control_ & kMcrLoop ? 0 : kFifoSize - received_.size();
}

void Serial::receive(std::span<const std::byte> bytes) {
  MutexLock lock(registers_mutex_);
  for (const std::byte byte : bytes) {
    if (received_.size() == kFifoSize) break;
    received_.push_back(std::to_integer<uint8_t>(byte));
  }
  update_interrupt();
}

void Serial::read(uint64_t offset, std::span<std::byte> data) {
  bool now_room = false;
  {
    MutexLock lock(registers_mutex_);
    const bool was_full = received_.size() == kFifoSize;
    for (size_t i = 0; i < data.size(); ++i) data[i] = std::byte{read_register(offset + i)};
    update_interrupt();
    now_room = was_full && received_.size() < kFifoSize;
  }
  if (now_room) wires_.room();
}

void Serial::write(uint64_t offset, std::span<const std::byte> data) {
  for (size_t i = 0; i < data.size(); ++i) {
    bool send = false, now_room = false;
    {
      MutexLock lock(registers_mutex_);
      const bool had_room = !(modem_control_ & kMcrLoop) && received_.size() < kFifoSize;
      send = offset + i == kData && !(line_control_ & kLcrDivisorLatch) &&
             !(modem_control_ & kMcrLoop);
      write_register(offset + i, std::to_integer<uint8_t>(data[i]));
      update_interrupt();
      now_room = !had_room && !(modem_control_ & kMcrLoop) && received_.size() < kFifoSize;
    }
    if (send) wires_.send(data[i]);
    if (now_room) wires_.room();
  }
}

uint8_t Serial::interrupt_identity() {
  // In the order of priority.
  if (interrupt_enable_ & kIerReceived && !received_.empty()) return kIirReceived;
  if (interrupt_enable_ & kIerTransmitterEmpty && transmitter_empty_event_) {
    return kIirTransmitterEmpty;
  }
  return kIirNone;
}

void Serial::update_interrupt() {
  // OUT2 gates the line on every PC.
  const bool level = interrupt_identity() != kIirNone && modem_control_ & kMcrOut2;
  if (level == line_level_) return;
  line_level_ = level;
  wires_.interrupt(level);
}

uint8_t Serial::read_register(uint64_t offset) {
  switch (offset) {
    case kData: {
      if (line_control_ & kLcrDivisorLatch) return divisor_[0];
      if (received_.empty()) return 0;
      const uint8_t byte = received_.front();
      received_.pop_front();
      return byte;
    }
    case kInterruptEnable:
      return line_control_ & kLcrDivisorLatch ? divisor_[1] : interrupt_enable_;
    case kInterruptIdentity: {
      const uint8_t identity = interrupt_identity();
      // Reading the identity clears the event of the empty transmitter.
      if (identity == kIirTransmitterEmpty) transmitter_empty_event_ = false;
      return static_cast<uint8_t>(identity | (fifo_control_ & kFcrEnable ? kIirFifosEnabled : 0));
    }
    case kLineControl:
      return line_control_;
    case kModemControl:
      return modem_control_;
    case kLineStatus:
      return static_cast<uint8_t>(kLsrTransmitterIdle | (received_.empty() ? 0 : kLsrReceived));
    case kModemStatus:
      if (modem_control_ & kMcrLoop) return looped_modem_status(modem_control_);
      return kMsrClearToSend | kMsrDataSetReady | kMsrCarrierDetect;
    case kScratch:
      return scratch_;
    default:
      return 0xFF;
  }
}

void Serial::write_register(uint64_t offset, uint8_t value) {
  switch (offset) {
    case kData:
      if (line_control_ & kLcrDivisorLatch) {
        divisor_[0] = value;
        break;
      }
      if (modem_control_ & kMcrLoop && received_.size() < kFifoSize) received_.push_back(value);
      transmitter_empty_event_ = true;
      // The line falls and rises again, so that an edge-triggered input sees the new event.
      if (line_level_ && interrupt_identity() == kIirTransmitterEmpty) {
        line_level_ = false;
        wires_.interrupt(false);
      }
      break;
    case kInterruptEnable: {
      if (line_control_ & kLcrDivisorLatch) {
        divisor_[1] = value;
        break;
      }
      const bool newly = value & ~interrupt_enable_ & kIerTransmitterEmpty;
      interrupt_enable_ = value & kIerMask;
      // The transmitter is empty when the interrupt is enabled: that is an event as well.
      if (newly) transmitter_empty_event_ = true;
      break;
    }
    case kFifoControl:
      if (value & kFcrClearReceiver || (value ^ fifo_control_) & kFcrEnable) received_.clear();
      fifo_control_ = value;
      break;
    case kLineControl:
      line_control_ = value;
      break;
    case kModemControl:
      modem_control_ = value & kMcrMask;
      break;
    case kScratch:
      scratch_ = value;
      break;
    default:  // the status registers are read-only
      break;
  }
}

}  // namespace passthru
