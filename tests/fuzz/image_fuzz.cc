// SPDX-License-Identifier: MIT
// Fuzzes the VMM's boot plan with kernel images of arbitrary bytes. Every piece must lie in usable
// RAM, no two pieces may overlap, and the guest must start in the kernel.
#include <algorithm>
#include <cstring>
#include <vector>

#include "tests/fakes/kernel_files.h"
#include "vmm/bytes.h"
#include "vmm/kernel_image.h"

namespace passthru {
namespace {

struct Header {
  uint16_t memory;  ///< steps of 2 MiB above a guest's minimum
  uint16_t command_line;
  uint32_t initrd;
  uint8_t kind;
  uint8_t unused[7];
};

void expect(bool condition) {
  if (!condition) __builtin_trap();
}

/// A change to a valid file.
struct Patch {
  uint16_t offset;
  uint8_t width;
  uint8_t unused;
  uint32_t low, high;
};

// Returns the given bytes, or a valid image with the given patches.
std::vector<std::byte> make_file(uint8_t kind, std::span<const std::byte> given) {
  if (kind % 4 < 2) return {given.begin(), given.end()};
  auto file = kind % 4 == 2 ? ElfKernelFile().bytes() : BzImageFile().bytes();
  for (Patch patch{}; given.size() >= sizeof patch; given = given.subspan(sizeof patch)) {
    std::memcpy(&patch, given.data(), sizeof patch);
    // Most changes are to the headers.
    const size_t offset = patch.offset % (kind & 4 ? file.size() : 1024);
    const size_t width = std::min<size_t>(patch.width % 8 + 1, file.size() - offset);
    to_bytes(uint64_t{patch.high} << 32 | patch.low, std::span(file).subspan(offset, width));
  }
  return file;
}

bool within(uint64_t address, uint64_t size, uint64_t begin, uint64_t length) {
  return address >= begin && address - begin <= length && size <= length - (address - begin);
}

void check_pieces(const BootPlan& plan, const RamLayout& ram) {
  const auto map = memory_map(ram);
  for (size_t i = 0; i < plan.pieces.size(); ++i) {
    const auto& piece = plan.pieces[i];
    expect(piece.content().size() <= piece.size);
    expect(std::any_of(map.begin(), map.end(), [&](const MemoryRange& range) {
      return range.kind == MemoryRange::Kind::Usable &&
             within(piece.address, piece.size, range.address, range.size);
    }));
    for (size_t j = 0; j < i; ++j) {
      const auto& other = plan.pieces[j];
      expect(piece.address + piece.size <= other.address ||
             other.address + other.size <= piece.address);
    }
  }
}

void run(const uint8_t* data, size_t size) {
  static const std::vector<std::byte> initrd(64 * kMiB);  // no plan reads it
  Header header{};
  if (size < sizeof header) return;
  std::memcpy(&header, data, sizeof header);
  const auto given = std::as_bytes(std::span(data, size).subspan(sizeof header));
  const std::vector<std::byte> file = make_file(header.kind, given);

  const auto image = parse_kernel(file, "image");
  if (!image) {
    expect(!image.error().message().empty());
    return;
  }
  const RamLayout ram = RamLayout::of(64 * kMiB + header.memory * 2 * kMiB);
  const auto plan = plan_boot(ram, *image, std::span(initrd).first(header.initrd % initrd.size()),
                              std::string(header.command_line % 4096, 'x'));
  if (!plan) return;
  check_pieces(*plan, ram);
  const auto is_in_piece = [&](uint64_t address) {
    return std::any_of(plan->pieces.begin(), plan->pieces.end(), [&](const auto& piece) {
      return within(address, 1, piece.address, piece.size);
    });
  };
  expect(is_in_piece(plan->entry.parameters));
  if (plan->entry.mode == BootEntry::Mode::Protected) expect(is_in_piece(plan->entry.instruction));
  for (const auto& piece : plan->pieces) {
    const auto content = piece.of_file;
    if (content.empty() || content.data() == initrd.data()) continue;
    expect(content.data() >= file.data());
    expect(within(static_cast<uint64_t>(content.data() - file.data()), content.size(), 0,
                  file.size()));
  }
}

}  // namespace
}  // namespace passthru

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  passthru::run(data, std::min<size_t>(size, 8192));
  return 0;
}
