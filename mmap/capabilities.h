// SPDX-License-Identifier: MIT
// Owns which PCI capabilities a guest sees: the policy table with the reason for each, and the list
// of those that a device has. Pure; only ConfigSpace acts on it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace passthru {

/// What becomes of a capability.
enum class CapabilityPolicy {
  Pass,        ///< the guest reaches the device's own registers
  Virtualise,  ///< some or all of its bits are ours
  Hide,        ///< not in the guest's list, registers read 0
};

/// One line of the policy table.
struct CapabilityRule {
  uint16_t id = 0;
  CapabilityPolicy policy = CapabilityPolicy::Hide;
  const char* name = "";
  const char* reason = "";
};

/// The rule for a capability id; an id that nobody has looked at yet is hidden.
const CapabilityRule& capability_rule(uint16_t id);
const CapabilityRule& extended_capability_rule(uint16_t id);

/// A capability of a device, and what the guest sees of it.
struct Capability {
  uint16_t id = 0;
  bool extended = false;
  uint16_t offset = 0;
  /// Bytes: as the spec has it, or where it leaves that open, up to the next capability; never into
  /// the next one nor beyond the space.
  uint16_t size = 0;
  bool cut = false;  ///< it would reach into the next one or out of the space
  CapabilityPolicy policy = CapabilityPolicy::Hide;
  const char* name = "";
  const char* reason = "";
};

/// The capabilities in a snapshot of config space (256 or 4096 bytes): the list, then the extended
/// list, each in its own order. A list that loops, points out of its space or into the header ends
/// there.
std::vector<Capability> find_capabilities(std::span<const std::byte> config);

}  // namespace passthru
