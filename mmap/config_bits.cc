// SPDX-License-Identifier: MIT
#include "mmap/config_bits.h"

#include <algorithm>

namespace passthru {
namespace {

uint8_t byte_of(uint32_t value, unsigned index) {
  return static_cast<uint8_t>(value >> (8 * index));
}

uint8_t replace(uint8_t old, uint8_t mask, uint8_t value) {
  return static_cast<uint8_t>((old & ~mask) | (value & mask));
}

/// Returns the width of the largest naturally aligned access at `offset` that ends at or before
/// `end`.
unsigned aligned_width(uint32_t offset, uint32_t end) {
  if (offset % 4 == 0 && end - offset >= 4) return 4;
  if (offset % 2 == 0 && end - offset >= 2) return 2;
  return 1;
}

}  // namespace

ConfigBits::ConfigBits(std::shared_ptr<PhysicalConfig> device, uint32_t size)
    : device_(std::move(device)), size_(std::min(size, kSize)) {
  std::fill(emulated_.begin() + size_, emulated_.end(), uint8_t{0xff});
  std::fill(value_.begin() + size_, value_.end(), uint8_t{0xff});
  power_on_ = value_;
}

void ConfigBits::emulate(uint32_t offset, unsigned width, uint32_t mask, uint32_t value,
                         uint32_t writable) {
  for (unsigned i = 0; i < width && offset + i < size_; ++i) {
    const uint32_t at = offset + i;
    const uint8_t bits = byte_of(mask, i);
    emulated_[at] |= bits;
    device_writable_[at] = replace(device_writable_[at], bits, 0);
    guest_writable_[at] = replace(guest_writable_[at], bits, byte_of(writable, i));
    value_[at] = power_on_[at] = replace(value_[at], bits, byte_of(value, i));
  }
}

void ConfigBits::pass(uint32_t offset, unsigned width, uint32_t mask) {
  pass_reads(offset, width, mask);
  for (unsigned i = 0; i < width && offset + i < size_; ++i)
    device_writable_[offset + i] |= byte_of(mask, i);
}

void ConfigBits::pass_reads(uint32_t offset, unsigned width, uint32_t mask) {
  emulate(offset, width, mask, 0);
  for (unsigned i = 0; i < width && offset + i < size_; ++i) {
    emulated_[offset + i] = replace(emulated_[offset + i], byte_of(mask, i), 0);
  }
}

void ConfigBits::hold(uint32_t offset, unsigned width, uint32_t mask, uint32_t value) {
  for (unsigned i = 0; i < width && offset + i < size_; ++i) {
    held_[offset + i] = replace(held_[offset + i], byte_of(mask, i), byte_of(value, i));
  }
}

uint32_t ConfigBits::read(uint32_t offset, unsigned width) {
  width = std::min(width, 4U);
  uint32_t result = 0;
  for (unsigned i = 0; i < width;) {
    const uint32_t at = offset + i;
    if (at < offset || at >= kSize) {
      result |= uint32_t{0xff} << (8 * i++);
      continue;
    }
    const unsigned chunk = aligned_width(at, std::min(offset + width, kSize));
    uint32_t theirs = 0;  // the device's own bits
    for (unsigned j = 0; j < chunk; ++j) theirs |= (0xffU & ~emulated_[at + j]) << (8 * j);
    uint32_t bits = value(at, chunk);
    if (theirs != 0) bits = (bits & ~theirs) | (read_device(at, chunk) & theirs);
    result |= bits << (8 * i);
    i += chunk;
  }
  return result;
}

ConfigBits::Undo ConfigBits::write(uint32_t offset, unsigned width, uint32_t value) {
  width = std::min(width, 4U);
  Undo before{offset, width, {}};
  for (unsigned i = 0; i < width; ++i) {
    const uint32_t at = offset + i;
    if (at < offset || at >= kSize) continue;
    before.bytes[i] = value_[at];
    value_[at] = replace(value_[at], guest_writable_[at], byte_of(value, i));
  }
  // Writes runs of bytes that the device takes, in accesses as wide as the guest's if the alignment
  // allows it.
  for (unsigned i = 0; i < width;) {
    const uint32_t at = offset + i;
    if (at < offset || at >= size_ || device_writable_[at] == 0) {
      ++i;
      continue;
    }
    unsigned end = i;
    while (end < width && offset + end < size_ && device_writable_[offset + end] != 0) ++end;
    const unsigned chunk = aligned_width(at, offset + end);
    uint32_t out = 0;
    for (unsigned j = 0; j < chunk; ++j) {
      const uint8_t byte = replace(held_[at + j], device_writable_[at + j], byte_of(value, i + j));
      out |= uint32_t{byte} << (8 * j);
    }
    write_device(at, chunk, out);
    i += chunk;
  }
  return before;
}

void ConfigBits::undo(const Undo& before) {
  for (unsigned i = 0; i < before.width; ++i) {
    const uint32_t at = before.offset + i;
    if (at >= before.offset && at < kSize) value_[at] = before.bytes[i];
  }
}

void ConfigBits::reset() {
  value_ = power_on_;
}

void ConfigBits::load(const Bytes& bytes) {
  for (uint32_t at = 0; at < size_; ++at) {
    value_[at] = replace(power_on_[at], guest_writable_[at], bytes[at]);
  }
}

uint32_t ConfigBits::value(uint32_t offset, unsigned width) const {
  uint32_t result = 0;
  for (unsigned i = 0; i < width && offset + i < kSize; ++i) {
    result |= uint32_t{value_[offset + i]} << (8 * i);
  }
  return result;
}

void ConfigBits::set_value(uint32_t offset, unsigned width, uint32_t mask, uint32_t value) {
  for (unsigned i = 0; i < width && offset + i < size_; ++i) {
    value_[offset + i] = replace(value_[offset + i], byte_of(mask, i), byte_of(value, i));
  }
}

uint32_t ConfigBits::read_device(uint32_t offset, unsigned width) {
  std::array<std::byte, 4> bytes{};
  if (!device_->read(offset, std::span(bytes).first(width))) {
    ++failed_accesses_;
    return UINT32_MAX;
  }
  uint32_t value = 0;
  for (unsigned i = 0; i < width; ++i) value |= std::to_integer<uint32_t>(bytes[i]) << (8 * i);
  return value;
}

void ConfigBits::write_device(uint32_t offset, unsigned width, uint32_t value) {
  std::array<std::byte, 4> bytes{};
  for (unsigned i = 0; i < width; ++i) bytes[i] = std::byte{byte_of(value, i)};
  if (!device_->write(offset, std::span<const std::byte>(bytes).first(width))) ++failed_accesses_;
}

}  // namespace passthru
