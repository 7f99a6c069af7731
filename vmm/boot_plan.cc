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

/// Checks that no hole for a reserved range begins before the end of the kernel.
Result<void> check_kernel_place(const RamLayout& ram, uint64_t kernel_end) {
  for (const RamHole& hole : ram.holes) {
    if (!hole.reserved || hole.begin >= kernel_end) continue;
    const auto& [range, device] = *hole.reserved;
    return tl::unexpected(
        Error{.code = EINVAL, .operation = "load the kernel"}
            .because(fmt::format("the IOMMU reserves {:#x} to {:#x} for {}, and the kernel needs "
                                 "RAM from {:#x} to {:#x}",
                                 range.first, range.last, device.str(), kKernel, kernel_end - 1))
            .advise("Give the guest another kernel, or start it without this device"));
  }
  return {};
}

/// Returns the end of an initrd at the lowest place behind the kernel, with any amount of RAM.
uint64_t end_of_initrd(const RamLayout& ram, uint64_t kernel_end, uint64_t pages) {
  uint64_t begin = kernel_end;
  for (const RamHole& hole : ram.holes) {
    if (hole.begin >= kLowRamEnd || hole.begin >= begin + pages) break;
    begin = hole.end;
  }
  return begin + pages;
}

/// Returns how much of the addresses below `end` cannot have RAM, if `end` is below 4 GiB's hole.
uint64_t holes_below(const RamLayout& ram, uint64_t end) {
  uint64_t bytes = 0;
  for (const RamHole& hole : ram.holes) {
    if (hole.begin < std::min(end, kLowRamEnd)) bytes += std::min(hole.end, end) - hole.begin;
  }
  return bytes;
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
  PASSTHRU_TRY(check_kernel_place(ram, kernel_end));
  const uint64_t pages = round_up(size, kPage);
  const bool has_kernel = !ram.parts.empty() && kernel_end <= ram.parts.front().end();
  for (auto part = ram.parts.rbegin(); has_kernel && part != ram.parts.rend(); ++part) {
    if (part->address >= kLowRamEnd) continue;
    const uint64_t top = round_down(std::min(part->end(), limit), kPage);
    if (std::max(kernel_end, part->address) + pages <= top) return top - pages;
  }

  const uint64_t top = round_down(std::min(ram.low_end(), limit), kPage);
  const uint64_t needed = end_of_initrd(ram, kernel_end, pages);
  const uint64_t needed_mib = (round_up(needed, kMemoryStep) - holes_below(ram, needed)) / kMiB;
  const uint64_t last = std::min(kLowRamEnd, limit);
  const uint64_t max_mib = (last - holes_below(ram, last)) / kMiB;
  return tl::unexpected(
      Error{.code = ENOMEM, .operation = "load the kernel"}
          .because(fmt::format("kernel and initrd do not fit into {} MiB of memory below {:#x}",
                               (top - holes_below(ram, top)) / kMiB, top))
          .advise(
              needed <= last
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
