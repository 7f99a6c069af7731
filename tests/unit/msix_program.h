// SPDX-License-Identifier: MIT
// Owns what the model tests of MSI-X make their programs of: steps, and random ones.
#pragma once

#include <fmt/format.h>

#include <algorithm>
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
    Raise,         ///< the device's interrupt
    ClearEntry,    ///< damage: the physical entry of a bound vector becomes zero
    ClearControl,  ///< damage: the physical Message Control loses Enable; noticed at once
    Audit,
  };
  Kind kind{};
  uint64_t offset = 0;  ///< or the vector
  size_t size = 0;
  uint64_t value = 0;
};

inline std::string describe(const Step& step) {
  static constexpr const char* kNames[] = {"WriteTable",   "ReadTable",    "ReadPending",
                                           "WritePending", "Control",      "Raise",
                                           "ClearEntry",   "ClearControl", "Audit"};
  return fmt::format("{} at {:#x}, {} bytes, {:#x}", kNames[static_cast<size_t>(step.kind)],
                     step.offset, step.size, step.value);
}

// Programs are values, made before anything runs: so that a failing one can be cut down.
inline Step random_step(std::mt19937_64& random, unsigned vectors) {
  const auto up_to = [&](uint64_t n) { return random() % n; };
  const uint64_t vector = up_to(4) != 0 ? up_to(std::min(vectors, 6U)) : up_to(vectors);
  const size_t size = size_t{1} << up_to(4);
  const uint64_t aligned = up_to(16 / size) * size;
  const uint64_t offset = vector * 16 + (up_to(16) != 0 ? aligned : up_to(16));
  switch (up_to(20)) {
    case 0:
    case 1:
    case 2:
      return {Step::Kind::WriteTable, offset, size, random()};
    case 3:  // masks and unmasks, the most usual
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
    default:
      return {Step::Kind::Raise, vector, 0, 0};
  }
}

}  // namespace passthru
