// SPDX-License-Identifier: MIT
// Fuzzes config space with arbitrary contents and a guest that writes arbitrary values: looping
// lists, tables beyond their BAR, moves and resets. Every access must stay within bounds.
#include <algorithm>
#include <array>
#include <cstring>
#include <memory>

#include "mmap/config_space.h"

namespace passthru {
namespace {

class Registers : public PhysicalConfig {
 public:
  Result<void> read(uint32_t offset, std::span<std::byte> data) override {
    if (offset > bytes.size() || data.size() > bytes.size() - offset) __builtin_trap();
    std::memcpy(data.data(), bytes.data() + offset, data.size());
    return {};
  }
  Result<void> write(uint32_t offset, std::span<const std::byte> data) override {
    if (offset > bytes.size() || data.size() > bytes.size() - offset) __builtin_trap();
    std::memcpy(bytes.data() + offset, data.data(), data.size());
    return {};
  }
  std::array<std::byte, 4096> bytes{};
};

struct Step {
  uint16_t offset;
  uint8_t width;
  uint8_t undo;
  uint32_t value;
};

void run(const uint8_t* data, size_t size) {
  auto registers = std::make_shared<Registers>();
  const size_t given = std::min(size, registers->bytes.size());
  std::memcpy(registers->bytes.data(), data, given);
  registers->bytes[0x0e] = std::byte{0};  // only type 0 headers are opened at all
  ConfigSource source{.registers = registers, .size = 4096, .msix_vectors = 64, .msi_vectors = 32};
  source.region_sizes = {0x4000, 0, 0x1000, 32, 0x100000, 0, 0x800};
  auto config = ConfigSpace::create(source, {.msi = true, .intx = true});
  if (!config) return;
  if (const auto& msix = (*config)->msix()) {
    const uint64_t bar = source.region_sizes[msix->table_bar];
    if (msix->table_size() > bar || msix->table_offset > bar - msix->table_size()) __builtin_trap();
  }

  Step step{};
  for (data += given, size -= given; size >= sizeof step;
       data += sizeof step, size -= sizeof step) {
    std::memcpy(&step, data, sizeof step);
    const unsigned width = 1U << step.width % 3;
    (*config)->read(step.offset, width);
    const auto before = (*config)->placement();
    const ConfigChange change = (*config)->write(step.offset, width, step.value);
    if (step.undo % 4 == 0) {
      (*config)->undo(change);
      if ((*config)->placement() != before) __builtin_trap();
    } else if (change.reset_requested) {
      ignore((*config)->reset(), "registers never fail here");
    }
  }
}

}  // namespace
}  // namespace passthru

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  passthru::run(data, std::min<size_t>(size, 4096 + 8192));
  return 0;
}
