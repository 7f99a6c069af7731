// SPDX-License-Identifier: MIT
// Tests of loading Linux: guest RAM, the kernel image, boot parameters.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <string>
#include <vector>

#include "tests/fakes/kernel_files.h"
#include "tests/unit/vmm/guest_number.h"
#include "vmm/boot.h"
#include "vmm/bzimage.h"
#include "vmm/guest_memory.h"
#include "vmm/memory_map.h"

namespace passthru {
namespace {

std::unique_ptr<GuestMemory> memory_of(uint64_t size) {
  return GuestMemory::create(size).value();
}

Result<BootEntry> load_linux(const GuestMemory& memory, const BzImage& image,
                             std::span<const std::byte> initrd, const std::string& command_line) {
  const BootPlan plan = PASSTHRU_TRY(plan_boot(memory.layout(), image, initrd, command_line));
  PASSTHRU_TRY(plan.write_to(memory));
  return plan.entry;
}

TEST(BzImage, FindsItsPartsWhereTheHeaderSays) {
  const BzImageFile file;
  const BzImage image = BzImage::parse(file.bytes(), "k").value();
  EXPECT_EQ(image.kernel.size(), 5000u);
  EXPECT_EQ(image.kernel.front(), std::byte{0x90});
  EXPECT_EQ(image.setup_header.data(), file.bytes().data() + 0x1F1);
  EXPECT_EQ(image.setup_header.size(), 0x202u + 0x6A - 0x1F1);
  EXPECT_EQ(image.preferred_address, 0x1000000u);
  EXPECT_EQ(image.init_size, 4u << 20);
  EXPECT_EQ(image.initrd_last, 0x7FFFFFFFu);
  EXPECT_EQ(image.command_line_max, 2047u);
}

TEST(BzImage, TakesFourSetupSectorsWhereTheHeaderSaysNone) {
  const BzImage image = BzImage::parse(BzImageFile(5000).set(0x1F1, 1, 0).bytes(), "k").value();
  EXPECT_EQ(image.kernel.size(), 3 * 512 + 5000u - 5 * 512);
}

TEST(BzImage, SaysWhatIsWrongWithAFileThatIsNotOneAndWhatToGive) {
  struct Case {
    const char* what;
    BzImageFile file;
    const char* cause;
  };
  const Case cases[] = {
      {"empty", BzImageFile().cut(0), "it is neither a bzImage nor an ELF file"},
      {"three bytes", BzImageFile().cut(3), "it is neither a bzImage nor an ELF file"},
      {"no boot flag", BzImageFile().set(0x1FE, 2, 0), "it is neither a bzImage nor an ELF file"},
      {"no magic", BzImageFile().set(0x202, 4, 0), "it is neither a bzImage nor an ELF file"},
      {"old protocol", BzImageFile().set(0x206, 2, 0x0205), "without a 64-bit entry"},
      {"zImage", BzImageFile().set(0x211, 1, 0), "without a 64-bit entry"},
      {"32-bit", BzImageFile().set(0x236, 2, 0), "without a 64-bit entry"},
      {"only the setup", BzImageFile(0), "cut short"},
      {"more setup than file", BzImageFile().set(0x1F1, 1, 255), "cut short"},
  };
  for (const Case& c : cases) {
    const auto parsed = BzImage::parse(c.file.bytes(), "some.img");
    ASSERT_FALSE(parsed) << c.what;
    EXPECT_EQ(parsed.error().code, EINVAL) << c.what;
    const std::string message = parsed.error().message();
    EXPECT_NE(message.find(c.cause), std::string::npos) << c.what << ": " << message;
    EXPECT_NE(message.find("some.img"), std::string::npos) << message;
    EXPECT_NE(message.find("Give a bzImage"), std::string::npos) << message;
  }
}

TEST(BzImage, IsReadWithinItsBytesWhereverItIsCut) {
  const BzImageFile whole(100);
  for (size_t size = 0; size < whole.bytes().size(); size += 7) {
    const std::vector<std::byte> exact(whole.bytes().begin(),
                                       whole.bytes().begin() + static_cast<std::ptrdiff_t>(size));
    const auto parsed = BzImage::parse(exact, "k");
    EXPECT_EQ(parsed.has_value(), size > 3 * 512) << size;
  }
}

TEST(GuestMemory, LeavesTheHoleUnderFourGigabytesFree) {
  const auto memory = memory_of(5 * kGiB);
  ASSERT_EQ(memory->ranges().size(), 2u);
  EXPECT_EQ(memory->ranges()[0].address, 0u);
  EXPECT_EQ(memory->ranges()[0].bytes.size(), kLowRamEnd);
  EXPECT_EQ(memory->ranges()[1].address, kHighRamStart);
  EXPECT_EQ(memory->ranges()[1].bytes.size(), 2 * kGiB);
}

TEST(GuestMemory, GivesOutOnlyWhatIsAllRam) {
  const auto memory = memory_of(5 * kGiB);
  EXPECT_TRUE(memory->at(0, kLowRamEnd));
  EXPECT_TRUE(memory->at(kHighRamStart + 2 * kGiB - 1, 1));
  struct Case {
    uint64_t address, size;
  };
  for (const Case c : {Case{kLowRamEnd, 1}, Case{kLowRamEnd - 1, 2}, Case{kHighRamStart - 1, 2},
                       Case{kHighRamStart + 2 * kGiB, 1}, Case{0, ~uint64_t{0}},
                       Case{~uint64_t{0}, 1}, Case{0, 5 * kGiB}}) {
    EXPECT_FALSE(memory->at(c.address, c.size)) << c.address << " + " << c.size;
  }
}

TEST(LoadLinux, PutsTheKernelAndItsParametersWhereTheProtocolWantsThem) {
  const auto memory = memory_of(128 * kMiB);
  const BzImageFile file;
  const BzImage image = BzImage::parse(file.bytes(), "k").value();
  const std::vector<std::byte> initrd(10000, std::byte{0x42});
  const BootEntry entry = load_linux(*memory, image, initrd, "console=ttyS0").value();

  EXPECT_EQ(entry.instruction, kMiB + 0x200);
  EXPECT_EQ(word(*memory, kMiB, 1), 0x90u);
  const uint64_t parameters = entry.parameters;
  EXPECT_EQ(word(*memory, parameters + 0x202, 4), 0x53726448u);
  EXPECT_EQ(word(*memory, parameters + 0x210, 1), 0xFFu);
  const auto line = word(*memory, parameters + 0x228, 4);
  EXPECT_STREQ(reinterpret_cast<const char*>(memory->at(line, 14)->data()), "console=ttyS0");
  const auto address = word(*memory, parameters + 0x218, 4);
  EXPECT_EQ(word(*memory, parameters + 0x21C, 4), 10000u);
  EXPECT_EQ(address % 4096, 0u);
  EXPECT_LE(address + 10000, 128 * kMiB);
  EXPECT_EQ(word(*memory, address, 1), 0x42u);
  EXPECT_EQ(word(*memory, address + 9999, 1), 0x42u);
}

TEST(LoadLinux, TellsTheKernelAllRamAndNothingElse) {
  const auto memory = memory_of(4 * kGiB);
  const BzImageFile file;
  const auto entry = load_linux(*memory, BzImage::parse(file.bytes(), "k").value(), {}, "").value();
  const uint64_t count = word(*memory, entry.parameters + 0x1E8, 1);
  uint64_t usable = 0;
  for (uint64_t i = 0; i < count; ++i) {
    const uint64_t at = entry.parameters + 0x2D0 + i * 20;
    if (word(*memory, at + 16, 4) != 1) continue;
    const uint64_t address = word(*memory, at, 8), size = word(*memory, at + 8, 8);
    EXPECT_TRUE(memory->at(address, size)) << std::hex << address;
    usable += size;
  }
  EXPECT_EQ(usable, 4 * kGiB - (kMiB - kLowRamUsable));
}

TEST(LoadLinux, MapsFourGigabytesOneToOne) {
  const auto memory = memory_of(64 * kMiB);
  const BzImageFile file;
  const auto entry = load_linux(*memory, BzImage::parse(file.bytes(), "k").value(), {}, "").value();
  for (const uint64_t address : {uint64_t{0}, uint64_t{0x100200}, uint64_t{0xFFE00000}}) {
    const auto table = [&](uint64_t base, unsigned shift) {
      return word(*memory, (base & ~uint64_t{0xFFF}) + (address >> shift & 511) * 8, 8);
    };
    const uint64_t leaf = table(table(table(entry.page_tables, 39), 30), 21);
    EXPECT_EQ(leaf, (address & ~(2 * kMiB - 1)) | 0x83) << std::hex << address;
  }
}

TEST(LoadLinux, SaysHowMuchMemoryAKernelThatDoesNotFitNeeds) {
  const auto memory = memory_of(64 * kMiB);
  const BzImageFile file = BzImageFile().set(0x260, 4, 100 << 20);
  const auto loaded = load_linux(*memory, BzImage::parse(file.bytes(), "k").value(), {}, "");
  ASSERT_FALSE(loaded);
  EXPECT_EQ(loaded.error().code, ENOMEM);
  EXPECT_NE(loaded.error().message().find("116 MiB"), std::string::npos)
      << loaded.error().message();
}

TEST(LoadLinux, DoesNotAskForMemoryThatNoGuestHas) {
  const auto memory = memory_of(64 * kMiB);
  const BzImageFile file = BzImageFile().set(0x22C, 4, 24 * kMiB - 1);
  const BzImage image = BzImage::parse(file.bytes(), "k").value();
  const auto loaded = load_linux(*memory, image, std::vector<std::byte>(5 * kMiB), "");
  ASSERT_FALSE(loaded);
  EXPECT_EQ(loaded.error().code, ENOMEM);
  const std::string message = loaded.error().message();
  EXPECT_NE(message.find("They need 26 MiB, but a guest has at most 24 MiB"), std::string::npos)
      << message;
  EXPECT_EQ(message.find("--memory"), std::string::npos) << message;
}

TEST(LoadLinux, PutsTheInitrdIntoPagesOfItsOwnWhereNoLimitIsAtAPage) {
  const auto memory = memory_of(64 * kMiB);
  const std::vector<std::byte> initrd(4096, std::byte{0x42});
  // The kernel begins at 16 MiB. The initrd may use half of the page at 32 MiB.
  const auto load = [&](uint64_t kernel_end) {
    const BzImageFile file =
        BzImageFile().set(0x22C, 4, 0x2000800 - 1).set(0x260, 4, kernel_end - 0x1000000);
    return load_linux(*memory, BzImage::parse(file.bytes(), "k").value(), initrd, "");
  };
  EXPECT_EQ(word(*memory, load(0x1FFF000).value().parameters + 0x218, 4), 0x1FFF000u);
  const auto refused = load(0x1FFF001);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ENOMEM);
}

TEST(LoadLinux, RefusesHostileSizesWithoutOverflow) {
  const auto memory = memory_of(64 * kMiB);
  for (const uint64_t preferred : {kHighRamStart - 1, kHighRamStart, ~uint64_t{0}}) {
    const BzImageFile file = BzImageFile().set(0x258, 8, preferred).set(0x260, 4, 0xFFFFFFFF);
    EXPECT_FALSE(load_linux(*memory, BzImage::parse(file.bytes(), "k").value(), {}, ""))
        << preferred;
  }
}

TEST(LoadLinux, RefusesAnInitrdThatWouldCoverTheKernel) {
  const auto memory = memory_of(64 * kMiB);
  const BzImageFile file;  // 16 MiB + 4 MiB
  const BzImage image = BzImage::parse(file.bytes(), "k").value();
  const std::vector<std::byte> fits(44 * kMiB), too_big(44 * kMiB + 1);
  EXPECT_TRUE(load_linux(*memory, image, fits, ""));
  const auto refused = load_linux(*memory, image, too_big, "");
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ENOMEM);
}

TEST(LoadLinux, RefusesACommandLineLongerThanTheKernelTakes) {
  const auto memory = memory_of(64 * kMiB);
  const BzImageFile file;
  const BzImage image = BzImage::parse(file.bytes(), "k").value();
  EXPECT_TRUE(load_linux(*memory, image, {}, std::string(2047, 'x')));
  EXPECT_EQ(load_linux(*memory, image, {}, std::string(2048, 'x')).error().code, E2BIG);
}

TEST(LoadLinux, RefusesACommandLineThatWouldNotFitIntoLowRam) {
  const auto memory = memory_of(64 * kMiB);
  const BzImageFile file = BzImageFile().set(0x238, 4, 0xFFFFFFFF);
  const BzImage image = BzImage::parse(file.bytes(), "k").value();
  const size_t room = kLowRamUsable - kCommandLine;
  EXPECT_TRUE(load_linux(*memory, image, {}, std::string(room - 1, 'x')));
  EXPECT_EQ(load_linux(*memory, image, {}, std::string(room, 'x')).error().code, E2BIG);
}

}  // namespace
}  // namespace passthru
