// SPDX-License-Identifier: MIT
// Minimal kernel image files, for tests to damage.
#pragma once

#include <elf.h>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <vector>

#include "vmm/bytes.h"

namespace passthru {

/// A bzImage: two setup sectors, then `kernel_size` bytes of 0x90. Its preferred address is 16 MiB;
/// it needs 4 MiB there.
class BzImageFile {
 public:
  explicit BzImageFile(size_t kernel_size = 5000) : bytes_(3 * 512, std::byte{0}) {
    bytes_.resize(bytes_.size() + kernel_size, std::byte{0x90});
    set(0x1F1, 1, 2);
    set(0x1FE, 2, 0xAA55);
    set(0x201, 1, 0x6A);
    set(0x202, 4, 0x53726448);
    set(0x206, 2, 0x020F);
    set(0x211, 1, 1);
    set(0x22C, 4, 0x7FFFFFFF);
    set(0x236, 2, 1);
    set(0x238, 4, 2047);
    set(0x258, 8, 0x1000000);
    set(0x260, 4, 4 << 20);
  }
  BzImageFile& set(size_t offset, size_t width, uint64_t value) {
    to_bytes(value, std::span(bytes_).subspan(offset, width));
    return *this;
  }
  BzImageFile& cut(size_t size) {
    bytes_.resize(size);
    return *this;
  }
  [[nodiscard]] const std::vector<std::byte>& bytes() const { return bytes_; }

 private:
  std::vector<std::byte> bytes_;
};

/// A vmlinux: code of 0x90 at 16 MiB, and data of 0x42 at 18 MiB followed by as many zeros. It has
/// two notes; the second is the PVH entry, 16 bytes into the code.
class ElfKernelFile {
 public:
  static constexpr uint64_t kCode = 0x1000000, kData = 0x1200000;
  static constexpr size_t kCodeSize = 3000, kDataSize = 1000;

  ElfKernelFile() {
    for (size_t i = 0; i < EI_NIDENT; ++i) header.e_ident[i] = 0;
    std::memcpy(header.e_ident, ELFMAG, SELFMAG);
    header.e_ident[EI_CLASS] = ELFCLASS64;
    header.e_ident[EI_DATA] = ELFDATA2LSB;
    header.e_type = ET_EXEC;
    header.e_machine = EM_X86_64;
    header.e_phoff = sizeof(Elf64_Ehdr);
    header.e_phentsize = sizeof(Elf64_Phdr);
    header.e_phnum = 3;
    code.p_type = data.p_type = PT_LOAD;
    code.p_offset = kFirst;
    code.p_paddr = kCode;
    code.p_filesz = code.p_memsz = kCodeSize;
    data.p_offset = kFirst + kCodeSize;
    data.p_paddr = kData;
    data.p_filesz = kDataSize;
    data.p_memsz = 2 * kDataSize;
    notes.p_type = PT_NOTE;
    notes.p_offset = kFirst + kCodeSize + kDataSize;
    notes.p_align = 4;
  }

  Elf64_Ehdr header{};
  Elf64_Phdr code{}, data{}, notes{};
  size_t size = SIZE_MAX;  ///< the file is truncated to this size
  /// A GNU note, then Xen's.
  std::vector<uint32_t> note_words = {4, 5, 3, kGnu, 1, 2, 4, 8, 18, kXen, kCode + 16, 0};

  [[nodiscard]] std::vector<std::byte> bytes() const {
    std::vector<std::byte> file(kFirst);
    Elf64_Phdr note_header = notes;
    if (note_header.p_filesz == 0) note_header.p_filesz = note_words.size() * 4;
    put(file, 0, header);
    put(file, sizeof(header), code);
    put(file, sizeof(header) + sizeof(code), data);
    put(file, sizeof(header) + 2 * sizeof(code), note_header);
    file.resize(file.size() + kCodeSize, std::byte{0x90});
    file.resize(file.size() + kDataSize, std::byte{0x42});
    const auto words = std::as_bytes(std::span(note_words));
    file.insert(file.end(), words.begin(), words.end());
    if (size < file.size()) file.resize(size);
    return file;
  }

  static constexpr uint32_t kGnu = 0x00554E47,
                            kXen = 0x006E6558;  // names with their terminating zero

 private:
  static constexpr size_t kFirst = sizeof(Elf64_Ehdr) + 3 * sizeof(Elf64_Phdr);

  template <class Structure>
  static void put(std::vector<std::byte>& file, size_t offset, const Structure& structure) {
    std::memcpy(file.data() + offset, &structure, sizeof(structure));
  }
};

}  // namespace passthru
