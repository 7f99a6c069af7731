// SPDX-License-Identifier: MIT
// The checks of an ELF kernel, in the order of the file: header, segments, notes.
#include "vmm/elf_kernel.h"

#include <elf.h>
#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <optional>
#include <utility>

#include "vmm/bytes.h"
#include "vmm/memory_map.h"

namespace passthru {
namespace {

// Xen, public/elfnote.h. The description is the physical address of the 32-bit entry.
constexpr char kXen[] = "Xen";
constexpr uint32_t kPhys32Entry = 18;  // XEN_ELFNOTE_PHYS32_ENTRY

constexpr const char* kGiveAnother =
    "Give the vmlinux of an x86-64 kernel built with CONFIG_PVH=y, or a bzImage";
constexpr const char* kGiveWhole = "Give the whole file";
constexpr const char* kBuildWithPvh = "Build the kernel with CONFIG_PVH=y, or give its bzImage";

const char* kind_of(Elf64_Half type) {
  switch (type) {
    case ET_REL:
      return "a relocatable file";
    case ET_DYN:
      return "a position-independent program or library";
    case ET_CORE:
      return "a core file";
    default:
      return "an ELF file of an unknown type";
  }
}

class Reader {
 public:
  Reader(std::span<const std::byte> file, const std::string& name) : file_(file), name_(name) {}
  Result<ElfKernel> read() {
    PASSTHRU_TRY(read_header());
    PASSTHRU_TRY(read_segments());
    PASSTHRU_TRY(read_entry());
    return std::move(kernel_);
  }

 private:
  [[nodiscard]] tl::unexpected<Error> refuse(std::string cause,
                                             const char* advice = kGiveAnother) const {
    return tl::unexpected(Error{.code = EINVAL, .operation = "read the kernel image " + name_}
                              .because(std::move(cause))
                              .advise(advice));
  }

  // Returns the bytes at `offset`, or nothing if the file ends before them.
  [[nodiscard]] std::optional<std::span<const std::byte>> part(uint64_t offset,
                                                               uint64_t size) const {
    if (offset > file_.size() || size > file_.size() - offset) return std::nullopt;
    return file_.subspan(offset, size);
  }

  Result<void> read_header() {
    Elf64_Ehdr header{};
    if (file_.size() < sizeof(header)) return refuse("it is cut short", kGiveWhole);
    std::memcpy(&header, file_.data(), sizeof(header));
    if (header.e_ident[EI_CLASS] != ELFCLASS64) return refuse("it is not a 64-bit ELF file");
    if (header.e_ident[EI_DATA] != ELFDATA2LSB) return refuse("it is not a little-endian ELF file");
    if (header.e_machine != EM_X86_64) return refuse("it is an ELF file of another machine");
    if (header.e_type != ET_EXEC) {
      return refuse(fmt::format("it is not a kernel but {}", kind_of(header.e_type)));
    }
    if (header.e_phnum == 0) return {};
    if (header.e_phentsize != sizeof(Elf64_Phdr)) {
      return refuse(fmt::format("its program headers have {} bytes each, not {}",
                                header.e_phentsize, sizeof(Elf64_Phdr)));
    }
    if (header.e_phnum > ElfKernel::kMaxHeaders) {
      return refuse(fmt::format("it has {} program headers, more than {}", header.e_phnum,
                                ElfKernel::kMaxHeaders));
    }
    const auto table = part(header.e_phoff, header.e_phnum * sizeof(Elf64_Phdr));
    if (!table) return refuse("it is cut short", kGiveWhole);
    headers_.resize(header.e_phnum);
    std::memcpy(headers_.data(), table->data(), table->size());
    return {};
  }

  Result<void> read_segments() {
    auto& segments = kernel_.segments;
    for (const Elf64_Phdr& header : headers_) {
      if (header.p_type != PT_LOAD || header.p_memsz == 0) continue;
      if (header.p_filesz > header.p_memsz) {
        return refuse(fmt::format("its segment at {:#x} has more bytes in the file than in memory",
                                  header.p_paddr));
      }
      if (header.p_paddr >= kHighRamStart || header.p_memsz > kHighRamStart - header.p_paddr) {
        return refuse(fmt::format("its segment of {:#x} bytes at {:#x} does not end below 4 GiB",
                                  header.p_memsz, header.p_paddr));
      }
      const auto bytes = part(header.p_offset, header.p_filesz);
      if (!bytes) return refuse("it is cut short", kGiveWhole);
      segments.push_back({.address = header.p_paddr, .size = header.p_memsz, .bytes = *bytes});
    }
    if (segments.empty()) return refuse("it has no segment to load");
    std::sort(segments.begin(), segments.end(),
              [](const auto& a, const auto& b) { return a.address < b.address; });
    for (size_t i = 1; i < segments.size(); ++i) {
      if (segments[i - 1].end() > segments[i].address) {
        return refuse(fmt::format("its segments at {:#x} and {:#x} overlap",
                                  segments[i - 1].address, segments[i].address));
      }
    }
    return {};
  }

  Result<void> read_entry() {
    std::optional<std::span<const std::byte>> entry;
    for (const Elf64_Phdr& header : headers_) {
      if (header.p_type != PT_NOTE || entry) continue;
      if (header.p_filesz > ElfKernel::kMaxNotes) {
        return refuse(fmt::format("it has {} bytes of notes in a segment, more than {}",
                                  header.p_filesz, ElfKernel::kMaxNotes));
      }
      const auto notes = part(header.p_offset, header.p_filesz);
      if (!notes) return refuse("it is cut short", kGiveWhole);
      entry = PASSTHRU_TRY(find_entry(*notes, header.p_align == 8 ? 8 : 4));
    }
    if (!entry) return refuse("it has no PVH entry (ELF note Xen, type 18)", kBuildWithPvh);
    if (entry->size() != 4 && entry->size() != 8) {
      return refuse(
          fmt::format("the note of its PVH entry has {} bytes, not 4 or 8", entry->size()));
    }
    const uint64_t address = from_bytes(*entry);
    for (const auto& segment : kernel_.segments) {
      if (address < segment.address || address - segment.address >= segment.bytes.size()) continue;
      kernel_.entry = static_cast<uint32_t>(address);
      return {};
    }
    return refuse(fmt::format("its PVH entry {:#x} is outside of its segments", address));
  }

  // Returns the description of the entry's note, if `notes`, which have this alignment, have it.
  [[nodiscard]] Result<std::optional<std::span<const std::byte>>> find_entry(
      std::span<const std::byte> notes, size_t alignment) const {
    const auto aligned = [&](uint64_t offset) {
      return (offset + alignment - 1) / alignment * alignment;
    };
    Elf64_Nhdr header{};
    for (uint64_t at = 0; at + sizeof(header) <= notes.size();) {
      std::memcpy(&header, notes.data() + at, sizeof(header));
      const uint64_t name = at + sizeof(header);
      const uint64_t description = aligned(name + header.n_namesz);
      const uint64_t end = description + header.n_descsz;
      at = aligned(end);
      // The last note may lack its padding.
      if ((header.n_descsz == 0 ? name + header.n_namesz : end) > notes.size()) {
        return refuse("its notes are damaged");
      }
      if (header.n_type == kPhys32Entry && header.n_namesz == sizeof(kXen) &&
          std::memcmp(notes.data() + name, kXen, sizeof(kXen)) == 0) {
        return header.n_descsz == 0 ? notes.first(0) : notes.subspan(description, header.n_descsz);
      }
    }
    return std::nullopt;
  }

  const std::span<const std::byte> file_;
  const std::string& name_;
  std::vector<Elf64_Phdr> headers_{};
  ElfKernel kernel_{};
};

}  // namespace

bool ElfKernel::recognizes(std::span<const std::byte> file) {
  return file.size() >= SELFMAG && std::memcmp(file.data(), ELFMAG, SELFMAG) == 0;
}

Result<ElfKernel> ElfKernel::parse(std::span<const std::byte> file, const std::string& name) {
  return Reader(file, name).read();
}

}  // namespace passthru
