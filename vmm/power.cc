// SPDX-License-Identifier: MIT
// The values of the ACPI registers, and the effects of writes to them.
#include "vmm/power.h"

#include <algorithm>
#include <array>

#include "vmm/bytes.h"

namespace passthru {
namespace {

// ACPI 4.8.3.2.1, PM1 control.
constexpr uint16_t kSciEnable = 1 << 0;
constexpr uint16_t kSleepEnable = 1 << 13;
constexpr unsigned kSleepTypeShift = 10;
constexpr uint16_t kSleepTypeMask = 0x7;

constexpr uint64_t kPmTimerHz = 3579545;
constexpr std::byte kPulseReset{0xFE};

}  // namespace

uint32_t PowerRegisters::timer() const {
  const auto elapsed = std::chrono::steady_clock::now() - start_;
  const auto ns = static_cast<uint64_t>(std::chrono::nanoseconds(elapsed).count());
  // Converts seconds and the remainder apart: the product of all ns and the frequency would
  // overflow in an hour.
  constexpr uint64_t kSecond = 1'000'000'000;
  return static_cast<uint32_t>(ns / kSecond * kPmTimerHz + ns % kSecond * kPmTimerHz / kSecond);
}

void PowerRegisters::read(uint64_t offset, std::span<std::byte> data) {
  std::array<std::byte, kSize> registers{};
  to_bytes(enable_.load(), std::span(registers).subspan(kPm1Event + 2, 2));
  // There is no SMI command that leaves legacy mode: ACPI is always on.
  to_bytes(kSciEnable, std::span(registers).subspan(kPm1Control, 2));
  to_bytes(timer(), std::span(registers).subspan(kPmTimer, 4));
  for (size_t i = 0; i < data.size(); ++i) {
    data[i] = offset + i < kSize ? registers[offset + i] : std::byte{0xFF};
  }
}

void PowerRegisters::write(uint64_t offset, std::span<const std::byte> data) {
  const auto value = static_cast<uint16_t>(from_bytes(data));
  if (offset == kPm1Event + 2 && data.size() == 2) {
    enable_ = value;
  } else if (offset == kPm1Control && data.size() == 2 && value & kSleepEnable &&
             (value >> kSleepTypeShift & kSleepTypeMask) == kSleepTypeOff) {
    power_off_();
  }
}

void KeyboardReset::read(uint64_t /*offset*/, std::span<std::byte> data) {
  // Input buffer empty: a guest that wants to send the command does not wait.
  std::fill(data.begin(), data.end(), std::byte{0});
}

void KeyboardReset::write(uint64_t /*offset*/, std::span<const std::byte> data) {
  if (!data.empty() && data[0] == kPulseReset) reset_();
}

}  // namespace passthru
