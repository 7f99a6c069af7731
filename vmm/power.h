// SPDX-License-Identifier: MIT
// The registers by which a guest ends itself: the ACPI registers of the FADT (PM1, PM timer) and
// the keyboard controller's reset. The third way, port 0xCF9, is in pci_bus.h.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>

#include "mmap/access.h"

namespace passthru {

/// ACPI 4.8.3: fixed hardware registers. Nothing here ever raises the SCI: the machine has no fixed
/// buttons and no wake-up.
class PowerRegisters final : public AccessTarget {
 public:
  // Offsets; acpi.cc puts them into the FADT.
  static constexpr uint16_t kPm1Event = 0;  ///< status and enable, 2 bytes each
  static constexpr uint16_t kPm1Control = 4;
  static constexpr uint16_t kPmTimer = 8;
  static constexpr uint16_t kSize = 16;
  /// SLP_TYP of \_S5 in dsdt.asl.
  static constexpr uint16_t kSleepTypeOff = 5;

  explicit PowerRegisters(std::function<void()> power_off) : power_off_(std::move(power_off)) {}
  void read(uint64_t offset, std::span<std::byte> data) override;
  void write(uint64_t offset, std::span<const std::byte> data) override;

 private:
  [[nodiscard]] uint32_t timer() const;

  const std::function<void()> power_off_;
  const std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
  std::atomic<uint16_t> enable_{0};
};

/// The command port of a keyboard controller that has only the reset line.
class KeyboardReset final : public AccessTarget {
 public:
  explicit KeyboardReset(std::function<void()> reset) : reset_(std::move(reset)) {}
  void read(uint64_t offset, std::span<std::byte> data) override;
  void write(uint64_t offset, std::span<const std::byte> data) override;

 private:
  const std::function<void()> reset_;
};

}  // namespace passthru
