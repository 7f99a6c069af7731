// SPDX-License-Identifier: MIT
// The parts of a boot plan that all protocols share.
#include "vmm/boot_plan.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace passthru {
namespace {

uint64_t round_down(uint64_t value, uint64_t unit) {
  return value / unit * unit;
}
uint64_t round_up(uint64_t value, uint64_t unit) {
  return round_down(value + unit - 1, unit);
}

}  // namespace

void BootPlan::add(uint64_t address, std::span<const std::byte> of_file, uint64_t size) {
  pieces.push_back({.address = address, .size = size, .of_file = of_file});
}

void BootPlan::add(uint64_t address, std::vector<std::byte> made) {
  const uint64_t size = made.size();
  pieces.push_back({.address = address, .size = size, .made = std::move(made)});
}

void BootPlan::add_command_line(const std::string& text) {
  const auto bytes = std::as_bytes(std::span(text.c_str(), text.size() + 1));
  add(kCommandLine, std::vector(bytes.begin(), bytes.end()));
}

Result<void> BootPlan::write_to(const GuestMemory& memory) const {
  for (const Piece& piece : pieces) {
    const auto target = PASSTHRU_TRY(memory.at(piece.address, piece.size));
    const auto content = piece.content();
    std::fill(std::copy(content.begin(), content.end(), target.begin()), target.end(),
              std::byte{0});
  }
  return {};
}

Result<uint64_t> place_initrd(const RamLayout& ram, uint64_t kernel_end, uint64_t limit,
                              uint64_t size) {
  const uint64_t pages = round_up(size, kPage);
  const uint64_t needed = kernel_end + pages;
  const uint64_t top = round_down(std::min(ram.low, limit), kPage);
  if (needed <= top) return top - pages;

  const uint64_t needed_mib = round_up(needed, kMemoryStep) / kMiB;
  const uint64_t max_mib = std::min(kLowRamEnd, limit) / kMiB;
  return tl::unexpected(
      Error{.code = ENOMEM, .operation = "load the kernel"}
          .because(fmt::format("kernel and initrd do not fit into {} MiB of memory below {:#x}",
                               top / kMiB, top))
          .advise(
              needed_mib <= max_mib
                  ? fmt::format("They need {} MiB; give the guest more with --memory", needed_mib)
                  : fmt::format("They need {} MiB, but a guest has at most {} MiB for them; use a "
                                "smaller kernel or initrd",
                                needed_mib, max_mib)));
}

Result<void> check_command_line(const std::string& text, uint64_t longest) {
  longest = std::min(longest, kLowRamUsable - kCommandLine - 1);
  if (text.size() <= longest) return {};
  return fail(E2BIG, "load the kernel",
              fmt::format("the command line has {} characters, the kernel accepts {}", text.size(),
                          longest));
}

}  // namespace passthru
