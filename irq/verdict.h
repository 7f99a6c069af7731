// SPDX-License-Identifier: MIT
// Owns what is said of a vector when the guest's, the host's and the device's view of it are put
// side by side: whether its interrupt can arrive, and if not, which of the three is wrong. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "irq/msix_table.h"

namespace passthru {

enum class Verdict {
  Ok,
  Unused,            ///< nobody has asked for its interrupts
  MaskedByGuest,     ///< the guest wants none now; what fires waits
  MaskedByHost,      ///< the same of a driver of the host
  Cleared,           ///< the device's entry is empty: it was reset behind the host's back
  Different,         ///< the device's entry holds no message of the host, or is masked
  NotRouted,         ///< the host has the interrupt, and nothing takes it to the guest
  EnableLost,        ///< MSI-X is off in the device's Message Control
  FunctionMaskLeft,  ///< all vectors are masked in the device's Message Control
};

/// "ok", "masked by guest", "enable bit lost", ...: scripts rely on these.
const char* to_string(Verdict verdict);
/// Whether the guest misses interrupts by it: from Cleared on.
constexpr bool is_damage(Verdict verdict) {
  return verdict >= Verdict::Cleared;
}

/// What is known of a vector.
struct VectorView {
  enum class User { Guest, HostDriver };
  User user = User::Guest;
  /// The user has its interrupts enabled, by whatever registers.
  bool enabled = false;
  bool function_masked = false;  ///< by the user
  bool masked = false;           ///< by the user, in this vector's entry
  bool bound = false;            ///< the host has an interrupt for it
  bool armed = true;             ///< something takes its signals to the user
  bool unread = false;           ///< and yet does not
  std::string unroutable{};      ///< why the user's message is no interrupt; empty: it is
  std::string last_error{};
  std::optional<MsixEntry> last_sound{};  ///< the device's entry at an earlier look
  std::optional<MsixEntry> in_device{};
  std::optional<uint16_t> control{};  ///< the device's Message Control
};

struct Judgement {
  Verdict verdict = Verdict::Ok;
  std::string why{};  ///< more of it; empty: there is no more
};

/// The damage that explains the others comes first: while Enable is lost, no entry matters.
Judgement judge(const VectorView& view);

/// What an entry's message means: "APIC 3 vector 0x41", "APICs 0x6 (logical) vector 0x41", which is
/// a mask or a cluster and a mask, "APIC 0 NMI", "remapped, index 0x2a", "empty", or
/// "no interrupt". Compatibility format carries an APIC id (VT-d 5.1.2.1), remappable format an
/// index of the interrupt remapping table (5.1.2.2). Where the interrupt is known to be `remapped`
/// and the message is not in that format, it is AMD's: its data is the index (AMD I/O
/// Virtualization Technology, 2.2.5).
std::string describe_message(const MsiMessage& message, bool remapped = false);

}  // namespace passthru
