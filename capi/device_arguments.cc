// SPDX-License-Identifier: MIT
#include "capi/device_arguments.h"

#include <linux/pci_regs.h>

#include <utility>

#include "capi/copied_fd.h"
#include "capi/sized_struct.h"
#include "capi/struct_sizes.h"

namespace passthru {
namespace {

constexpr const char* kOpen = "open a device";

Result<void> check_values(const passthru_device_options& given) {
  constexpr uint32_t kKnown = PASSTHRU_ALLOW_UNSAFE_INTERRUPTS | PASSTHRU_BARS_BY_VMM |
                              PASSTHRU_REPORT_UNPLUG | PASSTHRU_NO_ROM | PASSTHRU_USE_CDEV_FD |
                              PASSTHRU_USE_GROUP_FD | PASSTHRU_KEEP_STATE | PASSTHRU_NO_RESET;
  constexpr uint32_t kBarBits = (1U << PCI_STD_NUM_BARS) - 1;
  const bool by_fd = (given.flags & PASSTHRU_USE_CDEV_FD) != 0;
  const char* wrong = nullptr;
  if ((given.flags & ~kKnown) != 0) wrong = "a flag is unknown";
  if (given.device == nullptr && !by_fd) wrong = "it has neither an address nor a descriptor";
  if (given.guest_address > UINT16_MAX) wrong = "guest_address is above 65,535";
  if (given.backend > PASSTHRU_BACKEND_CDEV) wrong = "the backend is unknown";
  if (given.msix > PASSTHRU_MSIX_BAR) wrong = "the choice of MSI-X is unknown";
  if (given.msix_bar >= PCI_STD_NUM_BARS) wrong = "msix_bar is above 5";
  if ((given.unmapped_bars & ~kBarBits) != 0) wrong = "unmapped_bars names a BAR above 5";
  if (given.max_interrupts_per_second > 1'000'000) wrong = "the limit is above 1,000,000";
  if ((given.flags & PASSTHRU_NO_ROM) != 0 && given.rom_file != nullptr) {
    wrong = "PASSTHRU_NO_ROM contradicts rom_file";
  }
  if (wrong == nullptr) return {};
  return fail(EINVAL, kOpen, wrong);
}

Result<Fd> copy_if(bool wanted, int fd) {
  if (!wanted) return Fd{};
  return copied_fd(fd, kOpen);
}

Bdf guest_bdf(uint32_t requester_id) {
  return {.bus = static_cast<uint8_t>(requester_id >> 8),
          .device = static_cast<uint8_t>(requester_id >> 3 & 0x1F),
          .function = static_cast<uint8_t>(requester_id & 0x7)};
}

RomChoice rom_choice(const passthru_device_options& given) {
  if ((given.flags & PASSTHRU_NO_ROM) != 0) return {.kind = RomChoice::Kind::Off};
  if (given.rom_file == nullptr) return {};
  return {.kind = RomChoice::Kind::File, .file = given.rom_file};
}

MsixChoice msix_choice(const passthru_device_options& given) {
  switch (given.msix) {
    case PASSTHRU_MSIX_AUTO:
      return {.kind = MsixChoice::Kind::Auto};
    case PASSTHRU_MSIX_BAR:
      return {.kind = MsixChoice::Kind::Bar, .bar = given.msix_bar};
    default:
      return {};
  }
}

std::optional<Backend> backend_choice(const passthru_device_options& given) {
  switch (given.backend) {
    case PASSTHRU_BACKEND_GROUP:
      return Backend::Group;
    case PASSTHRU_BACKEND_CDEV:
      return Backend::Cdev;
    default:
      return std::nullopt;
  }
}

}  // namespace

Result<DeviceArguments> device_arguments(const passthru_device_options* options) {
  const auto given = PASSTHRU_TRY(read_struct(options, kDeviceOptionsSize, kOpen));
  PASSTHRU_TRY(check_values(given));
  const auto has = [&given](uint32_t flag) { return (given.flags & flag) != 0; };
  DeviceArguments arguments;
  AssignOptions& chosen = arguments.options;
  if (given.device != nullptr) chosen.device = PASSTHRU_TRY(Bdf::parse(given.device));
  chosen.guest_address = guest_bdf(given.guest_address);
  chosen.allow_unsafe_interrupts = has(PASSTHRU_ALLOW_UNSAFE_INTERRUPTS);
  if (given.vf_token != nullptr) chosen.vf_token = PASSTHRU_TRY(VfToken::parse(given.vf_token));
  chosen.unmapped_bars = given.unmapped_bars;
  chosen.msix = msix_choice(given);
  chosen.rom = rom_choice(given);
  chosen.on_unplug = has(PASSTHRU_REPORT_UNPLUG) ? OnUnplug::Tell : OnUnplug::Detach;
  chosen.max_interrupts_per_second = given.max_interrupts_per_second;
  if (given.response_timeout_ms != 0) {
    chosen.response_timeout = std::chrono::milliseconds(given.response_timeout_ms);
    chosen.max_silence = chosen.response_timeout;
  }
  chosen.placement = has(PASSTHRU_BARS_BY_VMM) ? Placement::Vmm : Placement::Library;
  chosen.start = has(PASSTHRU_KEEP_STATE) ? DeviceStart::Keep : DeviceStart::Reset;
  chosen.reset = !has(PASSTHRU_NO_RESET);
  arguments.source.backend = backend_choice(given);
  arguments.source.cdev = PASSTHRU_TRY(copy_if(has(PASSTHRU_USE_CDEV_FD), given.cdev_fd));
  arguments.source.group = PASSTHRU_TRY(copy_if(has(PASSTHRU_USE_GROUP_FD), given.group_fd));
  return arguments;
}

Result<void> check_config_access(uint32_t offset, uint32_t width, const char* operation) {
  if (width != 1 && width != 2 && width != 4)
    return fail(EINVAL, operation, "the width is not 1, 2 or 4");
  if (offset > PCI_CFG_SPACE_EXP_SIZE - width) {
    return fail(EINVAL, operation, "the access ends beyond 4,096 bytes");
  }
  return {};
}

}  // namespace passthru
