// SPDX-License-Identifier: MIT
#include "vmm/bzimage.h"

#include <asm/bootparam.h>

#include <cerrno>
#include <cstddef>
#include <cstring>
#include <utility>

namespace passthru {
namespace {

constexpr size_t kSetupHeader = offsetof(boot_params, hdr);
constexpr size_t kMagic = kSetupHeader + offsetof(setup_header, header);
// The jump at 0x200 has the length of the header in its second byte.
constexpr size_t kHeaderLength = kSetupHeader + offsetof(setup_header, jump) + 1;

constexpr uint16_t kBootFlag = 0xAA55;
constexpr uint32_t kMagicValue = 0x53726448;  // "HdrS"
constexpr uint16_t kVersion64Bit = 0x020C;    // the first protocol with xloadflags
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
  struct setup_header header {};
  if (file.size() < kSetupHeader + sizeof header) {
    return not_one(name, "it is neither a bzImage nor an ELF file (vmlinux)");
  }
  std::memcpy(&header, file.data() + kSetupHeader, sizeof header);
  if (header.boot_flag != kBootFlag || header.header != kMagicValue) {
    return not_one(name, "it is neither a bzImage nor an ELF file (vmlinux)");
  }
  if (header.version < kVersion64Bit || (header.loadflags & LOADED_HIGH) == 0 ||
      (header.xloadflags & XLF_KERNEL_64) == 0) {
    return not_one(name, "it is a bzImage without a 64-bit entry");
  }
  // Zero means four, in images from before the field existed.
  const size_t sectors = header.setup_sects == 0 ? 4 : header.setup_sects;
  const size_t kernel = (sectors + 1) * kSector;
  const size_t header_end = kMagic + std::to_integer<size_t>(file[kHeaderLength]);
  if (kernel >= file.size() || header_end > kernel) return not_one(name, "it is cut short");

  return BzImage{
      .setup_header = file.subspan(kSetupHeader, header_end - kSetupHeader),
      .kernel = file.subspan(kernel),
      .preferred_address = header.pref_address,
      .init_size = header.init_size,
      .initrd_last = header.initrd_addr_max,
      .command_line_max = header.cmdline_size,
  };
}

}  // namespace passthru
