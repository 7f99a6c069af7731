// SPDX-License-Identifier: MIT
// The structures of the PVH protocol (Xen, public/arch-x86/hvm/start_info.h; little-endian) and
// their places in guest RAM.
#include "vmm/pvh_boot.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <type_traits>
#include <vector>

#include "vmm/memory_map.h"

namespace passthru {
namespace {

constexpr uint64_t kCommandLineMax = 2047;  // Linux, COMMAND_LINE_SIZE of x86, less the final zero

// hvm_start_info, version 1.
struct StartInfo {
  uint32_t magic = 0x336EC578;  // "xEn3", with bit 7 of the E set
  uint32_t version = 1;
  uint32_t flags = 0;
  uint32_t modules = 0;
  uint64_t module_list = 0;
  uint64_t command_line = 0;
  uint64_t rsdp = 0;
  uint64_t memory_map = 0;
  uint32_t memory_map_entries = 0;
  uint32_t reserved = 0;
};
static_assert(sizeof(StartInfo) == 56);

// hvm_modlist_entry.
struct Module {
  uint64_t address = 0;
  uint64_t size = 0;
  uint64_t command_line = 0;
  uint64_t reserved = 0;
};
static_assert(sizeof(Module) == 32);

// hvm_memmap_table_entry.
struct MapEntry {
  uint64_t address = 0;
  uint64_t size = 0;
  uint32_t kind = 0;
  uint32_t reserved = 0;
};
static_assert(sizeof(MapEntry) == 24);

static_assert(kStartInfo + sizeof(StartInfo) <= kModuleList);
static_assert(kModuleList + sizeof(Module) <= kStartInfoMap);

/// The page with the start info and the structures that it points to.
class StartInfoPage {
 public:
  template <class Structure>
  void put(uint64_t address, const Structure& structure) {
    static_assert(std::is_trivially_copyable_v<Structure>);
    std::memcpy(bytes_.data() + (address - kStartInfo), &structure, sizeof(structure));
  }
  std::vector<std::byte> finish() && { return std::move(bytes_); }

 private:
  std::vector<std::byte> bytes_ = std::vector<std::byte>(kPage);
};

Result<void> check_places(const ElfKernel& image) {
  const auto refuse = [](const ElfKernel::Segment& segment, const std::string& why) {
    return fail(
        EINVAL, "load the kernel",
        fmt::format("its segment at {:#x} to {:#x} {}", segment.address, segment.end() - 1, why));
  };
  // Segments are ascending: the checks of the first and the last are enough.
  const ElfKernel::Segment& first = image.segments.front();
  const ElfKernel::Segment& last = image.segments.back();
  if (first.address < kKernel) {
    return refuse(first,
                  fmt::format("is below {:#x}, where the boot information and ACPI are", kKernel));
  }
  if (last.end() > kLowRamEnd) {
    return refuse(last, fmt::format("is in the hole from {:#x} to 4 GiB, where no guest has RAM",
                                    kLowRamEnd));
  }
  return {};
}

}  // namespace

Result<BootPlan> plan_boot(const RamLayout& ram, const ElfKernel& image,
                           std::span<const std::byte> initrd, const std::string& command_line) {
  PASSTHRU_TRY(check_command_line(command_line, kCommandLineMax));
  PASSTHRU_TRY(check_places(image));
  const uint64_t initrd_address =
      PASSTHRU_TRY(place_initrd(ram, image.segments.back().end(), kLowRamEnd, initrd.size()));

  StartInfo info{.command_line = kCommandLine, .rsdp = kAcpiTables, .memory_map = kStartInfoMap};
  StartInfoPage page;
  if (!initrd.empty()) {
    page.put(kModuleList, Module{.address = initrd_address, .size = initrd.size()});
    info.modules = 1;
    info.module_list = kModuleList;
  }
  for (const MemoryRange& range : memory_map(ram)) {
    page.put(kStartInfoMap + info.memory_map_entries++ * sizeof(MapEntry),
             MapEntry{.address = range.address,
                      .size = range.size,
                      .kind = static_cast<uint32_t>(range.kind)});
  }
  page.put(kStartInfo, info);

  BootPlan plan{.entry = {.mode = BootEntry::Mode::Protected,
                          .instruction = image.entry,
                          .parameters = kStartInfo}};
  plan.add_command_line(command_line);
  plan.add(kStartInfo, std::move(page).finish());
  for (const auto& segment : image.segments) {
    plan.add(segment.address, segment.bytes, segment.size);
  }
  if (!initrd.empty()) plan.add(initrd_address, initrd, initrd.size());
  return plan;
}

}  // namespace passthru
