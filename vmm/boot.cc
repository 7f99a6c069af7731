// SPDX-License-Identifier: MIT
// The layout of the boot parameters (Linux, Documentation/arch/x86/zero-page.rst).
#include "vmm/boot.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>
#include <vector>

#include "vmm/bytes.h"
#include "vmm/memory_map.h"
#include "vmm/ram_layout.h"

namespace passthru {
namespace {

// Offsets in the boot parameters.
constexpr size_t kAcpiRsdp = 0x070;
constexpr size_t kInitrdHigh = 0x0C0, kInitrdSizeHigh = 0x0C4;
constexpr size_t kE820Count = 0x1E8, kE820Table = 0x2D0, kE820EntrySize = 20;
constexpr size_t kSetupHeader = 0x1F1;
constexpr size_t kLoaderType = 0x210, kInitrd = 0x218, kInitrdSize = 0x21C;
constexpr size_t kCommandLinePointer = 0x228;
constexpr uint64_t kUnknownLoader = 0xFF;
constexpr uint64_t kEntryOffset64 = 0x200;

class BootParameters {
 public:
  void set(size_t offset, size_t width, uint64_t value) {
    to_bytes(value, std::span(bytes_).subspan(offset, width));
  }
  void set_setup_header(std::span<const std::byte> header) {
    std::copy(header.begin(), header.end(), bytes_.begin() + kSetupHeader);
  }
  void set_memory_map(const std::vector<MemoryRange>& map) {
    size_t at = kE820Table;
    for (const MemoryRange& range : map) {
      set(at, 8, range.address);
      set(at + 8, 8, range.size);
      set(at + 16, 4, static_cast<uint32_t>(range.kind));
      at += kE820EntrySize;
    }
    set(kE820Count, 1, map.size());
  }
  std::vector<std::byte> finish() && { return std::move(bytes_); }

 private:
  std::vector<std::byte> bytes_ = std::vector<std::byte>(kPage);
};

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

  BootParameters parameters;
  parameters.set_setup_header(image.setup_header);
  parameters.set(kLoaderType, 1, kUnknownLoader);
  parameters.set(kCommandLinePointer, 4, kCommandLine);
  parameters.set(kAcpiRsdp, 8, kAcpiTables);
  if (!initrd.empty()) {
    parameters.set(kInitrd, 4, initrd_address);
    parameters.set(kInitrdSize, 4, initrd.size());
    parameters.set(kInitrdHigh, 4, 0);
    parameters.set(kInitrdSizeHigh, 4, 0);
  }
  parameters.set_memory_map(memory_map(ram));

  BootPlan plan{.entry = {.mode = BootEntry::Mode::Long,
                          .instruction = kKernel + kEntryOffset64,
                          .parameters = kBootParams,
                          .page_tables = kPageTables}};
  plan.add_command_line(command_line);
  plan.add(kBootParams, std::move(parameters).finish());
  plan.add(kKernel, image.kernel, image.kernel.size());
  if (!initrd.empty()) plan.add(initrd_address, initrd, initrd.size());
  plan.add(kPageTables, page_tables());
  plan.add(kGdt, gdt());
  return plan;
}

}  // namespace passthru
