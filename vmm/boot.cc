// SPDX-License-Identifier: MIT
// The layout of the boot parameters (Linux, Documentation/arch/x86/zero-page.rst).
#include "vmm/boot.h"

#include <asm/bootparam.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <span>
#include <utility>
#include <vector>

#include "vmm/bytes.h"
#include "vmm/memory_map.h"
#include "vmm/ram_layout.h"

namespace passthru {
namespace {

constexpr uint8_t kUnknownLoader = 0xFF;
constexpr uint64_t kEntryOffset64 = 0x200;
static_assert(sizeof(boot_params) == kPage);

void set_memory_map(boot_params& parameters, const std::vector<MemoryRange>& map) {
  size_t entries = 0;
  for (const MemoryRange& range : map) {
    parameters.e820_table[entries++] = {
        .addr = range.address, .size = range.size, .type = static_cast<uint32_t>(range.kind)};
  }
  parameters.e820_entries = static_cast<uint8_t>(entries);
}

// Maps 4 GiB one to one, in pages of 2 MiB: a root, a table of four directories, and these four.
std::vector<std::byte> page_tables() {
  constexpr uint64_t kPresentWritable = 0x3, kLarge = 0x80;
  constexpr size_t kEntries = 512, kDirectories = 4;
  std::vector<std::byte> pages((2 + kDirectories) * kPage);
  const auto set = [&](size_t page, size_t entry, uint64_t value) {
    to_bytes(value, std::span(pages).subspan(page * kPage + entry * 8, 8));
  };
  set(0, 0, (kPageTables + kPage) | kPresentWritable);
  for (size_t i = 0; i < kDirectories; ++i) {
    set(1, i, (kPageTables + (2 + i) * kPage) | kPresentWritable);
    for (size_t entry = 0; entry < kEntries; ++entry) {
      set(2 + i, entry, (i * kEntries + entry) * 2 * kMiB | kPresentWritable | kLarge);
    }
  }
  return pages;
}

// The protocol requires flat code at selector 0x10 and flat data at 0x18.
std::vector<std::byte> gdt() {
  constexpr std::array<uint64_t, 4> kEntries = {0, 0, 0x00AF9B000000FFFF, 0x00CF93000000FFFF};
  std::vector<std::byte> bytes(sizeof(kEntries));
  for (size_t i = 0; i < kEntries.size(); ++i) {
    to_bytes(kEntries[i], std::span(bytes).subspan(i * 8, 8));
  }
  return bytes;
}

}  // namespace

Result<BootPlan> plan_boot(const RamLayout& ram, const BzImage& image,
                           std::span<const std::byte> initrd, const std::string& command_line) {
  PASSTHRU_TRY(check_command_line(command_line, image.command_line_max));
  if (image.preferred_address >= kHighRamStart) {
    return fail(EINVAL, "load the kernel",
                fmt::format("its preferred address {:#x} is above 4 GiB", image.preferred_address));
  }
  // The kernel decompresses itself from kKernel to its preferred address.
  const uint64_t kernel_end = std::max(kKernel, image.preferred_address) +
                              std::max<uint64_t>(image.init_size, image.kernel.size());
  const uint64_t initrd_address =
      PASSTHRU_TRY(place_initrd(ram, kernel_end, uint64_t{image.initrd_last} + 1, initrd.size()));

  boot_params parameters{};
  const auto bytes = std::as_writable_bytes(std::span(&parameters, 1));
  std::copy(image.setup_header.begin(), image.setup_header.end(),
            bytes.begin() + offsetof(boot_params, hdr));
  parameters.hdr.type_of_loader = kUnknownLoader;
  parameters.hdr.cmd_line_ptr = kCommandLine;
  parameters.acpi_rsdp_addr = kAcpiTables;
  if (!initrd.empty()) {
    parameters.hdr.ramdisk_image = static_cast<uint32_t>(initrd_address);
    parameters.hdr.ramdisk_size = static_cast<uint32_t>(initrd.size());
  }
  set_memory_map(parameters, memory_map(ram));

  BootPlan plan{.entry = {.mode = BootEntry::Mode::Long,
                          .instruction = kKernel + kEntryOffset64,
                          .parameters = kBootParams,
                          .page_tables = kPageTables}};
  plan.add_command_line(command_line);
  plan.add(kBootParams, {bytes.begin(), bytes.end()});
  plan.add(kKernel, image.kernel, image.kernel.size());
  if (!initrd.empty()) plan.add(initrd_address, initrd, initrd.size());
  plan.add(kPageTables, page_tables());
  plan.add(kGdt, gdt());
  return plan;
}

}  // namespace passthru
