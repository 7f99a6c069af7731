// SPDX-License-Identifier: MIT
// Numbers of the C interface and what they mean inside the library. Pure.
#pragma once

#include <cstdint>
#include <string>

#include "base/result.h"
#include "device/hypervisor.h"
#include "passthru/passthru.h"

namespace passthru {

/// Reads what a callback returned: 0 or more is success, -errno an error. A number that is no errno
/// counts as EIO.
inline Result<void> callback_result(const char* callback, int returned) {
  constexpr int kMaxErrno = 4095;
  if (returned >= 0) return {};
  return fail(returned >= -kMaxErrno ? -returned : EIO, std::string("call the VMM's ") + callback);
}

inline uint32_t space_number(GuestSpace space) {
  return space == GuestSpace::Memory ? PASSTHRU_MMIO : PASSTHRU_PORTS;
}

/// The C interface has the kinds of Event in the same order.
inline uint32_t event_number(Event::Kind kind) {
  static_assert(static_cast<uint32_t>(Event::Kind::VectorFailed) == PASSTHRU_EVENT_VECTOR_FAILED);
  static_assert(static_cast<uint32_t>(Event::Kind::BarRefused) == PASSTHRU_EVENT_BAR_REFUSED);
  static_assert(static_cast<uint32_t>(Event::Kind::DamageRestored) ==
                PASSTHRU_EVENT_DAMAGE_RESTORED);
  static_assert(static_cast<uint32_t>(Event::Kind::RestoreFailed) == PASSTHRU_EVENT_RESTORE_FAILED);
  static_assert(static_cast<uint32_t>(Event::Kind::DeviceReset) == PASSTHRU_EVENT_DEVICE_RESET);
  static_assert(static_cast<uint32_t>(Event::Kind::ResetFailed) == PASSTHRU_EVENT_RESET_FAILED);
  static_assert(static_cast<uint32_t>(Event::Kind::UnplugRequest) == PASSTHRU_EVENT_UNPLUG_REQUEST);
  static_assert(static_cast<uint32_t>(Event::Kind::DeviceError) == PASSTHRU_EVENT_DEVICE_ERROR);
  static_assert(static_cast<uint32_t>(Event::Kind::DeviceGone) == PASSTHRU_EVENT_DEVICE_GONE);
  static_assert(static_cast<uint32_t>(Event::Kind::P2pRefused) == PASSTHRU_EVENT_P2P_REFUSED);
  static_assert(static_cast<uint32_t>(Event::Kind::DeviceSilent) == PASSTHRU_EVENT_DEVICE_SILENT);
  static_assert(static_cast<uint32_t>(Event::Kind::DeviceAnswers) == PASSTHRU_EVENT_DEVICE_ANSWERS);
  static_assert(static_cast<uint32_t>(Event::Kind::DeviceLimited) == PASSTHRU_EVENT_DEVICE_LIMITED);
  return static_cast<uint32_t>(kind);
}

}  // namespace passthru
