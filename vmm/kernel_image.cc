// SPDX-License-Identifier: MIT
// The choice between the kinds of kernel image.
#include "vmm/kernel_image.h"

#include "vmm/boot.h"
#include "vmm/pvh_boot.h"

namespace passthru {

Result<KernelImage> parse_kernel(std::span<const std::byte> file, const std::string& name) {
  if (ElfKernel::recognizes(file)) return PASSTHRU_TRY(ElfKernel::parse(file, name));
  return PASSTHRU_TRY(BzImage::parse(file, name));
}

Result<BootPlan> plan_boot(const RamLayout& ram, const KernelImage& image,
                           std::span<const std::byte> initrd, const std::string& command_line) {
  return std::visit([&](const auto& kind) { return plan_boot(ram, kind, initrd, command_line); },
                    image);
}

}  // namespace passthru
