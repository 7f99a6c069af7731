// SPDX-License-Identifier: MIT
// Owns the layout of the boot parameters (Linux, Documentation/arch/x86/zero-page.rst).
#include "vmm/boot.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <vector>

#include "vmm/bytes.h"
#include "vmm/memory_map.h"

namespace passthru {
namespace {

constexpr uint64_t kPage = 4096;

// Offsets in the boot parameters.
constexpr size_t kAcpiRsdp = 0x070;
constexpr size_t kInitrdHigh = 0x0C0, kInitrdSizeHigh = 0x0C4;
constexpr size_t kE820Count = 0x1E8, kE820Table = 0x2D0, kE820EntrySize = 20;
constexpr size_t kSetupHeader = 0x1F1;
constexpr size_t kLoaderType = 0x210, kInitrd = 0x218, kInitrdSize = 0x21C;
constexpr size_t kCommandLinePointer = 0x228;
constexpr uint64_t kUnknownLoader = 0xFF;
constexpr uint64_t kEntryOffset64 = 0x200;

constexpr uint32_t kUsable = 1, kReserved = 2;

class BootParameters {
 public:
  void set(size_t offset, size_t width, uint64_t value) {
    to_bytes(value, std::span(bytes_).subspan(offset, width));
  }
  void set_setup_header(std::span<const std::byte> header) {
    std::copy(header.begin(), header.end(), bytes_.begin() + kSetupHeader);
  }
  void add_range(uint64_t address, uint64_t size, uint32_t kind) {
    const size_t at = kE820Table + ranges_ * kE820EntrySize;
    set(at, 8, address);
    set(at + 8, 8, size);
    set(at + 16, 4, kind);
    set(kE820Count, 1, ++ranges_);
  }
  [[nodiscard]] std::span<const std::byte> bytes() const { return bytes_; }

 private:
  std::array<std::byte, kPage> bytes_{};
  size_t ranges_ = 0;
};

void add_memory_map(BootParameters& parameters, const GuestMemory& memory) {
  parameters.add_range(0, kLowRamUsable, kUsable);
  parameters.add_range(kAcpiTables, kKernel - kAcpiTables, kReserved);
  parameters.add_range(kKernel, memory.low_size() - kKernel, kUsable);
  parameters.add_range(kEcam, kEcamSize, kReserved);
  for (const auto& range : memory.ranges()) {
    if (range.address != 0) parameters.add_range(range.address, range.bytes.size(), kUsable);
  }
}

// Four GiB one to one, in pages of 2 MiB: a root, one directory of four, and those four.
Result<void> write_page_tables(const GuestMemory& memory) {
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
  return memory.write(kPageTables, pages);
}

// The protocol wants flat code at selector 0x10 and data at 0x18.
Result<void> write_gdt(const GuestMemory& memory) {
  constexpr std::array<uint64_t, 4> kEntries = {0, 0, 0x00AF9B000000FFFF, 0x00CF93000000FFFF};
  std::array<std::byte, sizeof(kEntries)> bytes{};
  for (size_t i = 0; i < kEntries.size(); ++i) {
    to_bytes(kEntries[i], std::span(bytes).subspan(i * 8, 8));
  }
  return memory.write(kGdt, bytes);
}

// The highest page-aligned place for the initrd, clear of the kernel.
Result<uint64_t> place_initrd(const GuestMemory& memory, const BzImage& image, uint64_t size) {
  // Where it is loaded, the kernel decompresses itself to its preferred address.
  const uint64_t kernel_start = std::max(kKernel, image.preferred_address);
  const uint64_t kernel_size = std::max<uint64_t>(image.init_size, image.kernel.size());
  const uint64_t top = std::min(memory.low_size(), uint64_t{image.initrd_last} + 1);
  const uint64_t room = top > kernel_start ? top - kernel_start : 0;
  const uint64_t initrd_pages = (size + kPage - 1) & ~(kPage - 1);
  if (kernel_size > room || initrd_pages > room - kernel_size) {
    const uint64_t needed = kernel_start + kernel_size + initrd_pages;
    return tl::unexpected(
        Error{.code = ENOMEM, .operation = "load the kernel"}
            .because(fmt::format("kernel and initrd do not fit into {} MiB of memory below {:#x}",
                                 top / kMiB, top))
            .advise(fmt::format("They need {} MiB; give the guest more with --memory",
                                (needed + kMiB - 1) / kMiB)));
  }
  return (top - initrd_pages) & ~(kPage - 1);
}

}  // namespace

Result<BootEntry> load_linux(const GuestMemory& memory, const BzImage& image,
                             std::span<const std::byte> initrd, const std::string& command_line) {
  const size_t longest = std::min<size_t>(image.command_line_max, kLowRamUsable - kCommandLine - 1);
  if (command_line.size() > longest) {
    return fail(E2BIG, "load the kernel",
                fmt::format("the command line has {} characters, the kernel takes {}",
                            command_line.size(), longest));
  }
  if (image.preferred_address >= kHighRamStart) {
    return fail(EINVAL, "load the kernel",
                fmt::format("it wants to be at {:#x}, above 4 GiB", image.preferred_address));
  }
  const uint64_t initrd_address = PASSTHRU_TRY(place_initrd(memory, image, initrd.size()));

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
  add_memory_map(parameters, memory);

  const auto text = std::as_bytes(std::span(command_line.c_str(), command_line.size() + 1));
  PASSTHRU_TRY(memory.write(kCommandLine, text));
  PASSTHRU_TRY(memory.write(kBootParams, parameters.bytes()));
  PASSTHRU_TRY(memory.write(kKernel, image.kernel));
  PASSTHRU_TRY(memory.write(initrd_address, initrd));
  PASSTHRU_TRY(write_page_tables(memory));
  PASSTHRU_TRY(write_gdt(memory));
  return BootEntry{.instruction = kKernel + kEntryOffset64,
                   .boot_parameters = kBootParams,
                   .page_tables = kPageTables};
}

}  // namespace passthru
