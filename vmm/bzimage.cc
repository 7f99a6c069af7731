// SPDX-License-Identifier: MIT
// The offsets of the setup header, and the checks of an image.
#include "vmm/bzimage.h"

#include <algorithm>
#include <array>

#include "vmm/bytes.h"

namespace passthru {
namespace {

constexpr size_t kSetupSectors = 0x1F1;
constexpr size_t kBootFlag = 0x1FE;
constexpr size_t kHeaderLength = 0x201;
constexpr size_t kMagic = 0x202;
constexpr size_t kVersion = 0x206;
constexpr size_t kLoadFlags = 0x211;
constexpr size_t kInitrdLast = 0x22C;
constexpr size_t kExtendedLoadFlags = 0x236;
constexpr size_t kCommandLineMaxOffset = 0x238;
constexpr size_t kPreferredAddress = 0x258;
constexpr size_t kInitSize = 0x260;
constexpr size_t kHeaderRead = 0x264;  // the fields above end before it

constexpr uint64_t kBootFlagValue = 0xAA55;
constexpr uint64_t kMagicValue = 0x53726448;  // "HdrS"
constexpr uint64_t kVersion64Bit = 0x020C;    // the first protocol with xloadflags
constexpr uint64_t kLoadedHigh = 1 << 0;
constexpr uint64_t kEntry64Bit = 1 << 0;
constexpr size_t kSector = 512;

constexpr const char* kAdvice =
    "Give a bzImage: /boot/vmlinuz-VERSION of a distribution, or arch/x86/boot/bzImage of a built "
    "kernel";

tl::unexpected<Error> not_one(const std::string& name, std::string why) {
  return tl::unexpected(Error{.code = EINVAL, .operation = "read the kernel image " + name}
                            .because(std::move(why))
                            .advise(kAdvice));
}

}  // namespace

Result<BzImage> BzImage::parse(std::span<const std::byte> file, const std::string& name) {
  const auto field = [&](size_t offset, size_t width) {
    return from_bytes(file.subspan(offset, width));
  };
  if (file.size() < kHeaderRead || field(kBootFlag, 2) != kBootFlagValue ||
      field(kMagic, 4) != kMagicValue) {
    return not_one(name, "it is neither a bzImage nor an ELF file (vmlinux)");
  }
  if (field(kVersion, 2) < kVersion64Bit || !(field(kLoadFlags, 1) & kLoadedHigh) ||
      !(field(kExtendedLoadFlags, 2) & kEntry64Bit)) {
    return not_one(name, "it is a bzImage without a 64-bit entry");
  }
  // Zero means four, in images from before the field existed.
  const size_t sectors = field(kSetupSectors, 1) == 0 ? 4 : field(kSetupSectors, 1);
  const size_t kernel = (sectors + 1) * kSector;
  const size_t header_end = kMagic + field(kHeaderLength, 1);
  if (kernel >= file.size() || header_end > kernel) return not_one(name, "it is cut short");

  return BzImage{
      .setup_header = file.subspan(kSetupSectors, header_end - kSetupSectors),
      .kernel = file.subspan(kernel),
      .preferred_address = field(kPreferredAddress, 8),
      .init_size = static_cast<uint32_t>(field(kInitSize, 4)),
      .initrd_last = static_cast<uint32_t>(field(kInitrdLast, 4)),
      .command_line_max = static_cast<uint32_t>(field(kCommandLineMaxOffset, 4)),
  };
}

}  // namespace passthru
