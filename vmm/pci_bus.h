// SPDX-License-Identifier: MIT
// The guest's PCI bus 0: the functions in its slots, and the two ways to their config space, ECAM
// and the ports 0xCF8 to 0xCFF.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>

#include "base/result.h"
#include "mmap/access.h"
#include "vmm/guest_function.h"

namespace passthru {

/// Filled before the guest runs and fixed from then on: reads take no lock.
class PciBus {
 public:
  static constexpr unsigned kSlots = 32;
  static constexpr unsigned kFunctions = 8;  ///< of a slot

  /// Puts a function into a slot, as function `number`.
  /// Errors:
  /// - EINVAL: the slot or the number does not exist.
  /// - EBUSY: the place is taken.
  Result<void> plug(unsigned slot, std::shared_ptr<GuestFunction> function, unsigned number = 0);

  /// Read and write config space. `address` is ECAM's: bus << 20 | device << 15 | function << 12 |
  /// register. The access is naturally aligned. Absent functions read all ones and drop writes.
  uint32_t read(uint64_t address, unsigned width) const;
  void write(uint64_t address, unsigned width, uint32_t value) const;

 private:
  GuestFunction* find(uint64_t address) const;

  std::array<std::shared_ptr<GuestFunction>, size_t{kSlots} * kFunctions> functions_;
};

/// PCI Express 7.2.2: config space as memory.
class Ecam final : public AccessTarget {
 public:
  explicit Ecam(const PciBus& bus) : bus_(bus) {}
  void read(uint64_t offset, std::span<std::byte> data) override;
  void write(uint64_t offset, std::span<const std::byte> data) override;

 private:
  const PciBus& bus_;
};

/// PCI 3.0, 3.2.2.3.2: configuration mechanism 1, eight ports from 0xCF8 on. The port 0xCF9 within
/// it is the reset control register of every PC's south bridge.
class ConfigPorts final : public AccessTarget {
 public:
  ConfigPorts(const PciBus& bus, std::function<void()> reset)
      : bus_(bus), reset_(std::move(reset)) {}
  void read(uint64_t offset, std::span<std::byte> data) override;
  void write(uint64_t offset, std::span<const std::byte> data) override;

 private:
  const PciBus& bus_;
  const std::function<void()> reset_;
  std::atomic<uint32_t> address_{0};  ///< CONFIG_ADDRESS; guests serialise its use themselves
};

}  // namespace passthru
