// SPDX-License-Identifier: MIT
// The steps of the model tests of MSI-X, and random programs of them.
#pragma once

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <random>
#include <string>

namespace passthru {

/// One access of the guest, event of the device, or damage.
struct Step {
  enum class Kind {
    WriteTable,
    ReadTable,
    ReadPending,
    WritePending,
    WriteControl,
    Raise,         ///< the device raises an interrupt
    ClearEntry,    ///< damage: the physical entry of a bound vector becomes zero
    ClearControl,  ///< damage: the physical Message Control loses Enable; an audit follows at once
    Audit,
    Remap,  ///< the VMM's interrupt remapping changes: `value` is a Remapped, `offset` is the CPU
  };
  Kind kind{};
  uint64_t offset = 0;  ///< or the vector
  size_t size = 0;
  uint64_t value = 0;
};

inline std::string describe(const Step& step) {
  static constexpr const char* kNames[] = {"WriteTable", "ReadTable", "ReadPending", "WritePending",
                                           "Control",    "Raise",     "ClearEntry",  "ClearControl",
                                           "Audit",      "Remap"};
  return fmt::format("{} at {:#x}, {} bytes, {:#x}", kNames[static_cast<size_t>(step.kind)],
                     step.offset, step.size, step.value);
}

// Returns a guest's write to an offset in its table: part of an interrupt for one of four CPUs.
// Sometimes one bit is wrong, or all is noise.
inline uint64_t part_of_entry(std::mt19937_64& random, uint64_t offset) {
  const auto up_to = [&](uint64_t n) { return random() % n; };
  if (up_to(16) == 0) return random();
  static constexpr uint64_t kDeliveryModes[] = {0, 0, 0, 1, 2, 4, 5, 7};
  const uint64_t noise = random();  // one number, because the compiler may reorder calls
  const uint64_t delivery_mode = kDeliveryModes[up_to(8)];
  // The CPU and the destination mode; then the vector, ignored bits, and the mask bit.
  std::array<uint64_t, 2> entry = {0xfee0'0000 | (noise & 0x300c),
                                   (16 + (noise >> 16) % 240) | delivery_mode << 8 |
                                       (noise & 0xf800) | (noise & uint64_t{1} << 32)};
  if (up_to(16) == 0) entry[noise >> 40 & 1] ^= uint64_t{1} << (noise >> 41 & 63);
  const unsigned bits = offset % 8 * 8;
  const uint64_t here = entry[offset / 8 % 2];
  const uint64_t next = entry[(offset / 8 + 1) % 2];
  return bits == 0 ? here : here >> bits | next << (64 - bits);
}

// Returns a random step. Programs are values that exist before they run, so that a failing program
// can be shortened.
inline Step random_step(std::mt19937_64& random, unsigned vectors) {
  const auto up_to = [&](uint64_t n) { return random() % n; };
  const uint64_t vector = up_to(4) != 0 ? up_to(std::min(vectors, 6U)) : up_to(vectors);
  const size_t size = size_t{1} << up_to(4);
  const uint64_t aligned = up_to(16 / size) * size;
  const uint64_t offset = vector * 16 + (up_to(16) != 0 ? aligned : up_to(16));
  switch (up_to(21)) {
    case 0:
    case 1:
    case 2:
      return {Step::Kind::WriteTable, offset, size, part_of_entry(random, offset)};
    case 3:  // masks and unmasks are the most frequent
    case 4:
    case 5:
    case 6:
    case 7:
      return {Step::Kind::WriteTable, vector * 16 + 12, 4, up_to(2)};
    case 8:
    case 9:
      return {Step::Kind::ReadTable, up_to(8) != 0 ? offset : offset + vectors * 12, size, 0};
    case 10:
    case 11:
      return {Step::Kind::ReadPending, up_to(vectors / 8 + 16), size, 0};
    case 12:
      return {Step::Kind::WritePending, up_to(vectors / 8 + 16), size, random()};
    case 13: {
      static constexpr uint16_t kUsual[] = {0x8000, 0x8000, 0x8000, 0xc000, 0x4000, 0};
      return {Step::Kind::WriteControl, 0, 2, kUsual[up_to(6)] | up_to(0x800)};
    }
    case 14:
      return {Step::Kind::ClearEntry, vector, 0, 0};
    case 15:
      return up_to(4) != 0 ? Step{Step::Kind::Audit} : Step{Step::Kind::ClearControl};
    case 16:
      return {Step::Kind::Remap, up_to(4), 0, up_to(3)};
    default:
      return {Step::Kind::Raise, vector, 0, 0};
  }
}

}  // namespace passthru
