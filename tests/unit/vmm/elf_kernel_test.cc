// SPDX-License-Identifier: MIT
// Tests of reading an ELF kernel: its segments, its PVH entry, and invalid files.
#include "vmm/elf_kernel.h"

#include <gtest/gtest.h>

#include <functional>
#include <string>
#include <vector>

#include "tests/fakes/kernel_files.h"
#include "vmm/kernel_image.h"

namespace passthru {
namespace {

using Change = std::function<void(ElfKernelFile&)>;

ElfKernelFile changed(const Change& change) {
  ElfKernelFile file;
  change(file);
  return file;
}

TEST(ElfKernel, HasTheSegmentsAndTheEntryThatTheFileNames) {
  const auto file = ElfKernelFile().bytes();
  const ElfKernel kernel = ElfKernel::parse(file, "k").value();
  ASSERT_EQ(kernel.segments.size(), 2u);
  EXPECT_EQ(kernel.segments[0].address, ElfKernelFile::kCode);
  EXPECT_EQ(kernel.segments[0].size, 3000u);
  EXPECT_EQ(kernel.segments[0].bytes.size(), 3000u);
  EXPECT_EQ(kernel.segments[0].bytes.back(), std::byte{0x90});
  EXPECT_EQ(kernel.segments[1].address, ElfKernelFile::kData);
  EXPECT_EQ(kernel.segments[1].size, 2000u);
  EXPECT_EQ(kernel.segments[1].bytes.size(), 1000u);
  EXPECT_EQ(kernel.segments[1].bytes.front(), std::byte{0x42});
  EXPECT_EQ(kernel.entry, ElfKernelFile::kCode + 16);
}

TEST(ElfKernel, IsWhatItIsInWhateverFormItsFileSaysIt) {
  struct Case {
    const char* what;
    Change change;
  };
  const Case cases[] = {
      {"segments in descending order", [](auto& f) { std::swap(f.code, f.data); }},
      {"an entry of four bytes",
       [](auto& f) {
         f.note_words = {4, 4, 18, f.kXen, static_cast<uint32_t>(f.kCode + 16)};
       }},
      {"a note of Xen before it",
       [](auto& f) {
         f.note_words = {4, 4, 17, f.kXen, 7,
                         4, 4, 18, f.kXen, static_cast<uint32_t>(f.kCode + 16)};
       }},
      {"a note of type 18 of another name",
       [](auto& f) {
         f.note_words = {4, 4, 18, f.kGnu, 7,
                         4, 4, 18, f.kXen, static_cast<uint32_t>(f.kCode + 16)};
       }},
      {"a note without a name or a description",
       [](auto& f) {
         f.note_words = {0, 0, 18, 4, 4, 18, f.kXen, static_cast<uint32_t>(f.kCode + 16)};
       }},
      {"notes aligned to eight bytes",
       [](auto& f) {
         f.notes.p_align = 8;
         f.note_words = {
             4, 1, 3, f.kGnu, 7, 0, 4, 8, 18, f.kXen, static_cast<uint32_t>(f.kCode + 16), 0};
       }},
      {"the last byte of a segment as entry",
       [](auto& f) { f.note_words[10] = f.kCode + f.kCodeSize - 1; }},
      {"segments that touch", [](auto& f) { f.data.p_paddr = f.kCode + f.kCodeSize; }},
      {"a segment that ends at 4 GiB",
       [](auto& f) { f.data.p_paddr = 0x100000000 - f.data.p_memsz; }},
  };
  for (const Case& c : cases) {
    const auto file = changed(c.change).bytes();
    const auto kernel = ElfKernel::parse(file, "k");
    ASSERT_TRUE(kernel) << c.what << ": " << kernel.error().message();
    EXPECT_EQ(kernel->segments.size(), 2u) << c.what;
    EXPECT_EQ(kernel->segments[0].address, ElfKernelFile::kCode) << c.what;
    EXPECT_GE(kernel->entry, ElfKernelFile::kCode + 16) << c.what;
  }
}

TEST(ElfKernel, ASegmentWithoutMemoryIsNone) {
  const auto file = changed([](auto& f) {
                      f.data.p_filesz = f.data.p_memsz = 0;
                      f.data.p_paddr = ~uint64_t{0};
                    }).bytes();
  EXPECT_EQ(ElfKernel::parse(file, "k").value().segments.size(), 1u);
}

TEST(ElfKernel, SaysWhatIsWrongWithAFileAndWhatToGive) {
  struct Case {
    const char* what;
    Change change;
    const char* cause;
    const char* advice = "Give the vmlinux of an x86-64 kernel built with CONFIG_PVH=y";
  };
  constexpr const char* kWhole = "Give the whole file";
  constexpr const char* kPvh = "Build the kernel with CONFIG_PVH=y, or give its bzImage";
  const Case cases[] = {
      {"32-bit", [](auto& f) { f.header.e_ident[EI_CLASS] = ELFCLASS32; }, "not a 64-bit ELF"},
      {"big-endian", [](auto& f) { f.header.e_ident[EI_DATA] = ELFDATA2MSB; }, "little-endian"},
      {"arm64", [](auto& f) { f.header.e_machine = EM_AARCH64; }, "of another machine"},
      {"an object", [](auto& f) { f.header.e_type = ET_REL; }, "but a relocatable file"},
      {"a library", [](auto& f) { f.header.e_type = ET_DYN; },
       "but a position-independent program or library"},
      {"a core", [](auto& f) { f.header.e_type = ET_CORE; }, "but a core file"},
      {"no type", [](auto& f) { f.header.e_type = 0x1234; }, "of an unknown type"},
      {"other headers", [](auto& f) { f.header.e_phentsize = 32; }, "have 32 bytes each, not 56"},
      {"many headers", [](auto& f) { f.header.e_phnum = 65; }, "65 program headers, more than 64"},
      {"only a magic", [](auto& f) { f.size = 4; }, "it is cut short", kWhole},
      {"half a header", [](auto& f) { f.size = 63; }, "it is cut short", kWhole},
      {"half a table", [](auto& f) { f.size = 64 + 3 * 56 - 1; }, "it is cut short", kWhole},
      {"half the code", [](auto& f) { f.size = 1000; }, "it is cut short", kWhole},
      {"half the notes", [](auto& f) { f.size = f.bytes().size() - 1; }, "cut short", kWhole},
      {"a far table", [](auto& f) { f.header.e_phoff = ~uint64_t{0} - 60; }, "cut short", kWhole},
      {"far code", [](auto& f) { f.code.p_offset = ~uint64_t{0} - 5; }, "cut short", kWhole},
      {"far notes", [](auto& f) { f.notes.p_offset = ~uint64_t{0} - 5; }, "cut short", kWhole},
      {"no header", [](auto& f) { f.header.e_phnum = 0; }, "it has no segment to load"},
      {"no segment", [](auto& f) { f.code.p_type = f.data.p_type = PT_NULL; }, "no segment to"},
      {"a segment too full", [](auto& f) { f.data.p_memsz = 999; },
       "0x1200000 has more bytes in the file than in memory"},
      {"a segment over 4 GiB", [](auto& f) { f.data.p_paddr = 0x100000000 - 1999; },
       "its segment of 0x7d0 bytes at 0xfffff831 does not end below 4 GiB"},
      {"a segment above 4 GiB", [](auto& f) { f.data.p_paddr = 0x100000000; }, "below 4 GiB"},
      {"an endless segment", [](auto& f) { f.data.p_memsz = ~uint64_t{0}; }, "below 4 GiB"},
      {"an overlap", [](auto& f) { f.data.p_paddr = f.kCode + f.kCodeSize - 1; },
       "its segments at 0x1000000 and 0x1000bb7 overlap"},
      {"an overlap in zeros", [](auto& f) { f.data.p_paddr = f.kCode - 1001; }, "overlap"},
      {"the same place", [](auto& f) { f.data.p_paddr = f.kCode; }, "overlap"},
      {"no note", [](auto& f) { f.notes.p_type = PT_NULL; }, "it has no PVH entry", kPvh},
      {"only others", [](auto& f) { f.note_words[8] = 17; }, "it has no PVH entry", kPvh},
      {"not Xen's", [](auto& f) { f.note_words[9] = f.kGnu; }, "it has no PVH entry", kPvh},
      {"a short note", [](auto& f) { f.note_words[7] = 2; }, "has 2 bytes, not 4 or 8"},
      {"an empty note", [](auto& f) { f.note_words[7] = 0; }, "has 0 bytes, not 4 or 8"},
      {"a note too long", [](auto& f) { f.note_words[7] = 9; }, "its notes are damaged"},
      {"an endless note", [](auto& f) { f.note_words[7] = ~0u; }, "its notes are damaged"},
      {"an endless name", [](auto& f) { f.note_words[6] = ~0u; }, "its notes are damaged"},
      {"a name too long",
       [](auto& f) {
         f.note_words = {8, 0, 18, f.kXen};
       },
       "damaged"},
      {"many notes", [](auto& f) { f.notes.p_filesz = 65537; }, "65537 bytes of notes"},
      {"an entry before", [](auto& f) { f.note_words[10] = f.kCode - 1; },
       "its PVH entry 0xffffff is outside of its segments"},
      {"an entry behind", [](auto& f) { f.note_words[10] = f.kCode + f.kCodeSize; }, "outside"},
      {"an entry in zeros", [](auto& f) { f.note_words[10] = f.kData + 1000; }, "outside"},
      {"an entry far away", [](auto& f) { f.note_words[11] = 1; }, "0x101000010 is outside"},
  };
  for (const Case& c : cases) {
    const auto file = changed(c.change).bytes();
    const auto parsed = parse_kernel(file, "some.img");
    ASSERT_FALSE(parsed) << c.what;
    EXPECT_EQ(parsed.error().code, EINVAL) << c.what;
    const std::string message = parsed.error().message();
    for (const char* part : {c.cause, c.advice, "read the kernel image some.img"}) {
      EXPECT_NE(message.find(part), std::string::npos) << c.what << ": " << message;
    }
  }
}

TEST(ElfKernel, IsReadWithinItsBytesWhereverItIsCut) {
  const auto whole = ElfKernelFile().bytes();
  for (size_t size = SELFMAG; size < whole.size(); ++size) {
    const std::vector<std::byte> exact(whole.begin(),
                                       whole.begin() + static_cast<std::ptrdiff_t>(size));
    EXPECT_FALSE(ElfKernel::parse(exact, "k")) << size;
  }
}

TEST(KernelImage, IsReadAsItsFirstBytesSay) {
  const auto elf = ElfKernelFile().bytes();
  const BzImageFile bzimage;
  EXPECT_TRUE(std::holds_alternative<ElfKernel>(parse_kernel(elf, "k").value()));
  EXPECT_TRUE(std::holds_alternative<BzImage>(parse_kernel(bzimage.bytes(), "k").value()));
}

}  // namespace
}  // namespace passthru
