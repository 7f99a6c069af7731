// SPDX-License-Identifier: MIT
// Registers for tests of config space: the test lays out the bytes, and writes are recorded.
#pragma once

#include <cstring>
#include <string>
#include <vector>

#include "mmap/config_bits.h"

namespace passthru {

class ConfigImage : public PhysicalConfig {
 public:
  explicit ConfigImage(uint32_t size = 256) : bytes(size) {}

  void put8(uint32_t at, uint8_t value) { bytes[at] = std::byte{value}; }
  void put16(uint32_t at, uint16_t value) { std::memcpy(&bytes[at], &value, sizeof value); }
  void put32(uint32_t at, uint32_t value) { std::memcpy(&bytes[at], &value, sizeof value); }
  void put_capability(uint32_t at, uint8_t id, uint8_t next) {
    put8(at, id);
    put8(at + 1, next);
  }
  [[nodiscard]] uint16_t get16(uint32_t at) const {
    uint16_t value = 0;
    std::memcpy(&value, &bytes[at], sizeof value);
    return value;
  }

  Result<void> read(uint32_t offset, std::span<std::byte> data) override {
    if (broken || offset + data.size() > bytes.size() || offset % data.size() != 0)
      return fail(EIO, "pread");
    ++reads;
    std::memcpy(data.data(), &bytes[offset], data.size());
    return {};
  }
  Result<void> write(uint32_t offset, std::span<const std::byte> data) override {
    if (broken || offset + data.size() > bytes.size() || offset % data.size() != 0)
      return fail(EIO, "pwrite");
    writes += std::to_string(offset) + "+" + std::to_string(data.size()) + " ";
    std::memcpy(&bytes[offset], data.data(), data.size());
    return {};
  }

  std::vector<std::byte> bytes;
  std::string writes;
  unsigned reads = 0;
  bool broken = false;
};

}  // namespace passthru
