// SPDX-License-Identifier: MIT
// The PCI capabilities that a guest sees: the policy table with the reason for each entry, the
// capabilities' sizes, and the list of a device's capabilities. Pure; only ConfigSpace acts on it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace passthru {

/// How the guest sees a capability.
enum class CapabilityPolicy {
  Pass,        ///< the guest reaches the device's own registers
  Virtualise,  ///< Passthru emulates some or all of its bits
  Hide,        ///< not in the guest's list, registers read 0
};

/// One line of the policy table.
struct CapabilityRule {
  uint16_t id = 0;
  CapabilityPolicy policy = CapabilityPolicy::Hide;
  const char* name = "";
  const char* reason = "";
};

/// Returns the rule for a capability id. An id that is not in the table is hidden.
const CapabilityRule& capability_rule(uint16_t id);
const CapabilityRule& extended_capability_rule(uint16_t id);

/// Return the size in bytes of the capability at `offset` of `config`, as the spec defines it, or 0
/// if the spec leaves it open. `config` may be hostile: the size may reach beyond it.
size_t capability_size(std::span<const std::byte> config, uint16_t id, size_t offset);
size_t extended_capability_size(std::span<const std::byte> config, uint16_t id, size_t offset);

/// A capability of a device, and what the guest sees of it.
struct Capability {
  uint16_t id = 0;
  bool extended = false;
  uint16_t offset = 0;
  /// Size in bytes: see `capability_size`, or up to the next capability if the spec leaves it open.
  /// Never reaches into the next capability or beyond config space. The bytes behind it belong to
  /// the device.
  uint16_t size = 0;
  bool cut = false;  ///< its size in the spec does not fit
  CapabilityPolicy policy = CapabilityPolicy::Hide;
  const char* name = "";
  const char* reason = "";
};

/// Returns the capabilities in a snapshot of config space (256 or 4096 bytes): the standard list,
/// then the extended list, each in its own order. A list ends where it loops, points out of its
/// space or points into the header.
std::vector<Capability> find_capabilities(std::span<const std::byte> config);

}  // namespace passthru
