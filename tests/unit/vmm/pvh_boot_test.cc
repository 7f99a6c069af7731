// SPDX-License-Identifier: MIT
// Tests of the boot plan of an ELF kernel, and of guest RAM after the plan is written.
#include "vmm/pvh_boot.h"

#include <gtest/gtest.h>

#include <cstring>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "tests/fakes/kernel_files.h"
#include "tests/unit/vmm/guest_number.h"
#include "vmm/boot.h"
#include "vmm/kernel_image.h"

namespace passthru {
namespace {

/// A machine of `memory` bytes of RAM with a loaded kernel. The RAM was not zero before.
class Loaded {
 public:
  Loaded(uint64_t memory, const std::vector<std::byte>& initrd, const std::string& command_line) {
    ram_ = GuestMemory::create(memory).value();
    // The part of RAM that the tests check.
    const auto dirty = ram_->at(0, 32 * kMiB).value();
    std::fill(dirty.begin(), dirty.end(), std::byte{0xEE});
    const auto image = ElfKernel::parse(file_, "k").value();
    const BootPlan plan = plan_boot(ram_->layout(), image, initrd, command_line).value();
    EXPECT_TRUE(plan.write_to(*ram_));
    entry = plan.entry;
  }
  [[nodiscard]] uint64_t at(uint64_t address, size_t width) const {
    return word(*ram_, address, width);
  }
  [[nodiscard]] uint64_t info(size_t offset, size_t width) const {
    return at(entry.parameters + offset, width);
  }
  [[nodiscard]] const char* text(uint64_t address) const {
    return reinterpret_cast<const char*>(ram_->at(address, 1)->data());
  }
  BootEntry entry{};

 private:
  const std::vector<std::byte> file_ = ElfKernelFile().bytes();
  std::unique_ptr<GuestMemory> ram_;
};

TEST(PvhBoot, PutsSegmentsWhereTheFileSaysAndZerosBehindThem) {
  const Loaded loaded(64 * kMiB, {}, "");
  EXPECT_EQ(loaded.at(ElfKernelFile::kCode, 1), 0x90u);
  EXPECT_EQ(loaded.at(ElfKernelFile::kCode + 2999, 2), 0xEE90u);
  EXPECT_EQ(loaded.at(ElfKernelFile::kData - 1, 2), 0x42EEu);
  EXPECT_EQ(loaded.at(ElfKernelFile::kData + 999, 2), 0x0042u);
  EXPECT_EQ(loaded.at(ElfKernelFile::kData + 1999, 2), 0xEE00u);
}

TEST(PvhBoot, StartsIn32BitModeAtTheNotesEntryWithTheStartInfo) {
  const Loaded loaded(64 * kMiB, {}, "");
  EXPECT_EQ(loaded.entry.mode, BootEntry::Mode::Protected);
  EXPECT_EQ(loaded.entry.instruction, ElfKernelFile::kCode + 16);
  EXPECT_EQ(loaded.info(0, 4), 0x336EC578u);
  EXPECT_EQ(loaded.info(4, 4), 1u);  // version
  EXPECT_EQ(loaded.info(8, 4), 0u);  // flags
}

TEST(PvhBoot, HandsOverCommandLineInitrdAndAcpi) {
  const std::vector<std::byte> initrd(10000, std::byte{0x42});
  const Loaded loaded(128 * kMiB, initrd, "console=ttyS0");
  EXPECT_STREQ(loaded.text(loaded.info(24, 8)), "console=ttyS0");
  EXPECT_EQ(loaded.info(32, 8), kAcpiTables);
  ASSERT_EQ(loaded.info(12, 4), 1u);
  const uint64_t list = loaded.info(16, 8);
  const uint64_t address = loaded.at(list, 8);
  EXPECT_EQ(address, 128 * kMiB - 12288);
  EXPECT_EQ(loaded.at(list + 8, 8), 10000u);
  EXPECT_EQ(loaded.at(list + 16, 8), 0u);
  EXPECT_EQ(loaded.at(list + 24, 8), 0u);
  EXPECT_EQ(loaded.at(address, 1), 0x42u);
  EXPECT_EQ(loaded.at(address + 9999, 2), 0x0042u);
}

TEST(PvhBoot, HasNoModuleWithoutAnInitrd) {
  const Loaded loaded(64 * kMiB, {}, "");
  EXPECT_EQ(loaded.info(12, 4), 0u);
  EXPECT_EQ(loaded.info(16, 8), 0u);
}

TEST(PvhBoot, TellsTheKernelTheSameMemoryMapAsTheOtherProtocol) {
  for (const uint64_t size : {64 * kMiB, 3 * kGiB, 5 * kGiB}) {
    const Loaded loaded(size, {}, "");
    const auto memory = GuestMemory::create(size).value();
    const BzImageFile file;
    const auto bzimage = BzImage::parse(file.bytes(), "k").value();
    const BootPlan plan = plan_boot(memory->layout(), bzimage, {}, "").value();
    ASSERT_TRUE(plan.write_to(*memory));
    const uint64_t e820 = plan.entry.parameters + 0x2D0;

    const uint64_t map = loaded.info(40, 8), entries = loaded.info(48, 4);
    ASSERT_EQ(entries, word(*memory, plan.entry.parameters + 0x1E8, 1));
    for (uint64_t i = 0; i < entries; ++i) {
      const uint64_t here = map + i * 24, there = e820 + i * 20;
      EXPECT_EQ(loaded.at(here, 8), word(*memory, there, 8)) << size << " " << i;
      EXPECT_EQ(loaded.at(here + 8, 8), word(*memory, there + 8, 8)) << size << " " << i;
      EXPECT_EQ(loaded.at(here + 16, 4), word(*memory, there + 16, 4)) << size << " " << i;
      EXPECT_EQ(loaded.at(here + 20, 4), 0u);
    }
    EXPECT_EQ(entries, size > 3 * kGiB ? 5u : 4u);
    if (size <= 3 * kGiB) continue;
    EXPECT_EQ(loaded.at(map + 4 * 24, 8), 4 * kGiB);
    EXPECT_EQ(loaded.at(map + 4 * 24 + 8, 8), 2 * kGiB);
    EXPECT_EQ(loaded.at(map + 4 * 24 + 16, 4), 1u);
  }
}

TEST(PvhBoot, RefusesWhatDoesNotFitAndSaysWhatWould) {
  struct Case {
    const char* what;
    uint64_t data, data_size;
    size_t initrd;
    int code;
    const char* message;
  };
  const Case cases[] = {
      {"a segment on the ACPI tables", 0xE0000, 4096, 0, EINVAL,
       "its segment at 0xe0000 to 0xe0fff is below 0x100000, where the boot information"},
      {"a segment on the start info", 0x7FFF, 1, 0, EINVAL, "0x7fff to 0x7fff is below 0x100000"},
      {"a segment into the hole", 0xBFFFFFFF, 2, 0, EINVAL,
       "0xbfffffff to 0xc0000000 is in the hole from 0xc0000000 to 4 GiB"},
      {"a segment in the hole", 0xFFFFFFFF, 1, 0, EINVAL,
       "0xffffffff to 0xffffffff is in the hole"},
      {"a segment beyond RAM", 64 * kMiB - 1, 2, 0, ENOMEM,
       "kernel and initrd do not fit into 64 MiB of memory below 0x4000000. "
       "They need 66 MiB; give the guest more with --memory"},
      {"a segment far beyond RAM", kGiB, 5 * kMiB, 0, ENOMEM, "They need 1030 MiB; give the guest"},
      {"an initrd without room", 18 * kMiB, 40 * kMiB, 6 * kMiB + 1, ENOMEM, "They need 66 MiB;"},
      {"an initrd without room anywhere", kLowRamEnd - 1, 1, 1, ENOMEM,
       "They need 3074 MiB, but a guest has at most 3072 MiB for them"},
  };
  const RamLayout ram = RamLayout::of(64 * kMiB);
  for (const Case& c : cases) {
    ElfKernelFile file;
    file.data.p_paddr = c.data;
    file.data.p_memsz = c.data_size;
    file.data.p_filesz = 1;
    const auto bytes = file.bytes();
    const auto image = parse_kernel(bytes, "k");
    ASSERT_TRUE(image) << c.what << ": " << image.error().message();
    const auto plan = plan_boot(ram, *image, std::vector<std::byte>(c.initrd), "");
    ASSERT_FALSE(plan) << c.what;
    EXPECT_EQ(plan.error().code, c.code) << c.what;
    const std::string message = plan.error().message();
    EXPECT_NE(message.find(c.message), std::string::npos) << c.what << ": " << message;
    EXPECT_NE(message.find("load the kernel"), std::string::npos) << message;
  }
}

TEST(PvhBoot, UsesAllRoomThatThereIs) {
  ElfKernelFile file;
  file.data.p_paddr = kMiB;
  file.data.p_memsz = 15 * kMiB;
  const auto bytes = file.bytes();
  const auto image = ElfKernel::parse(bytes, "k").value();
  // The code ends within the page at 16 MiB.
  const std::vector<std::byte> initrd(48 * kMiB - 4096);
  const BootPlan plan = plan_boot(RamLayout::of(64 * kMiB), image, initrd, "").value();
  std::map<uint64_t, uint64_t> used;
  for (const auto& piece : plan.pieces) used.emplace(piece.address, piece.size);
  EXPECT_EQ(used.at(kMiB), 15 * kMiB);
  EXPECT_EQ(used.at(16 * kMiB + 4096), initrd.size());
}

TEST(PvhBoot, TakesACommandLineAsLongAsLinuxDoes) {
  const auto file = ElfKernelFile().bytes();
  const auto image = ElfKernel::parse(file, "k").value();
  const RamLayout ram = RamLayout::of(64 * kMiB);
  EXPECT_TRUE(plan_boot(ram, image, {}, std::string(2047, 'x')));
  const auto refused = plan_boot(ram, image, {}, std::string(2048, 'x'));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, E2BIG);
  EXPECT_NE(refused.error().message().find("2048 characters, the kernel accepts 2047"),
            std::string::npos);
}

}  // namespace
}  // namespace passthru
