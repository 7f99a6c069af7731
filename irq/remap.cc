// SPDX-License-Identifier: MIT
#include "irq/remap.h"

#include <fmt/format.h>

namespace passthru {
namespace {

constexpr uint64_t kExtendedDestination = 0x7f << 5;  // reserved if the guest was not offered it

tl::unexpected<Error> no_interrupt(std::string why) {
  return fail(EINVAL, "deliver an interrupt", std::move(why));
}

Result<void> check(const MsiMessage& message, uint64_t reserved) {
  if (!is_interrupt_address(message.address)) {
    return no_interrupt(fmt::format("{:#x} is not an interrupt address", message.address));
  }
  if (is_remappable(message.address)) {
    return no_interrupt(
        fmt::format("address {:#x} is in remappable format, and the guest has no interrupt "
                    "remapping",
                    message.address));
  }
  if ((message.address & reserved) != 0) {
    return no_interrupt(fmt::format("address {:#x} has reserved bits set", message.address));
  }
  if (!is_interrupt_data(message.data)) {
    return no_interrupt(fmt::format(
        "data {:#x} has reserved bits, or a reserved delivery mode or vector", message.data));
  }
  return {};
}

}  // namespace

Result<MsiMessage> translate_plain(const MsiMessage& message) {
  PASSTHRU_TRY(check(message, kExtendedDestination));
  return message;
}

Result<MsiMessage> translate_extended(const MsiMessage& message) {
  PASSTHRU_TRY(check(message, 0));
  const uint64_t high_id = (message.address & kExtendedDestination) >> 5;
  return MsiMessage{(message.address & ~kExtendedDestination) | high_id << 40, message.data};
}

}  // namespace passthru
