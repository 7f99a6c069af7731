// SPDX-License-Identifier: MIT
// The verdict on a vector: whether its interrupt can arrive, and if not, why. Compares the guest's,
// the host's and the device's view. Pure.
#pragma once

#include <linux/pci_regs.h>

#include <array>
#include <cstdint>
#include <optional>
#include <string>

#include "irq/vector_state.h"

namespace passthru {

enum class Verdict {
  Unknown,           ///< reported by a VMM of another version
  Ok,                ///< without a fault, and the device's entry was read
  Unused,            ///< nothing has asked for its interrupts
  MaskedByGuest,     ///< what fires waits until the guest unmasks it
  MaskedByHost,      ///< the same, of a host driver
  NotSeen,           ///< in use and without a known fault, but the device's entry was not read
  Cleared,           ///< the device's entry is empty: it was reset behind the host's back
  Different,         ///< the device's entry holds no message of the host, or is masked
  NotRouted,         ///< the host has the interrupt, and nothing takes it to the guest
  EnableLost,        ///< MSI-X is off in the device's Message Control
  FunctionMaskLeft,  ///< all vectors are masked in the device's Message Control
};

/// All verdicts, worst first: damage of all vectors of a device, damage of one vector, no damage.
inline constexpr std::array kVerdicts = {
    Verdict::EnableLost,    Verdict::FunctionMaskLeft, Verdict::Cleared, Verdict::Different,
    Verdict::NotRouted,     Verdict::Unknown,          Verdict::NotSeen, Verdict::MaskedByHost,
    Verdict::MaskedByGuest, Verdict::Unused,           Verdict::Ok};

/// "ok", "masked by guest", "enable bit lost", ...: scripts rely on these.
const char* to_string(Verdict verdict);
/// Returns whether the guest misses interrupts by it.
constexpr bool is_damage(Verdict verdict) {
  return verdict >= Verdict::Cleared;
}

/// What holds for all vectors of a device.
struct FunctionState {
  enum class User { Guest, HostDriver };
  User user = User::Guest;
  bool enabled = false;               ///< the user has interrupts enabled, by whatever registers
  bool function_masked = false;       ///< by the user
  bool owners_known = true;           ///< false: no VMM said what takes the signals
  std::optional<uint16_t> control{};  ///< the device's Message Control
  std::string unseen{};               ///< why the device's entries were not read, if so
};

/// A vector and the verdict on it.
struct VectorInspection : VectorState {
  Verdict verdict = Verdict::Unused;
  std::string why{};     ///< details, or empty
  bool damaged = false;  ///< the guest misses interrupts by it
};

/// The damage that explains the others comes first: while Enable is lost, no entry matters.
VectorInspection judge(const FunctionState& function, VectorState vector);

/// Returns the meaning of an entry's message:
/// - "APIC 3 vector 0x41", "APIC 0 NMI": compatibility format (VT-d 5.1.2.1);
/// - "APICs 0x6 (logical) vector 0x41": the number is a mask, or a cluster and a mask;
/// - "remapped, index 0x2a": remappable format, an index of the interrupt remapping table
/// (5.1.2.2);
/// - "empty", "no interrupt".
/// If the interrupt is known to be `remapped` and the message is not in that format, it is AMD's:
/// its data is the index (AMD I/O Virtualization Technology, 2.2.5).
std::string describe_message(const MsiMessage& message, bool remapped = false);

}  // namespace passthru
