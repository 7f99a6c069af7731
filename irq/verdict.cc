// SPDX-License-Identifier: MIT
#include "irq/verdict.h"

#include <fmt/format.h>

#include <array>
#include <utility>

#include "irq/entry_fault.h"
#include "irq/remap.h"
#include "irq/vtd_table.h"

namespace passthru {
namespace {

constexpr uint32_t kAmdIndex = 0x7ff;
constexpr uint64_t kLogical = 1U << 2;  // Destination Mode
// By Delivery Mode (SDM volume 3, Message Data Register Format); fixed and lowest priority have a
// vector, two are reserved.
constexpr std::array<const char*, 8> kWithoutVector = {"",    "",     "SMI", "",
                                                       "NMI", "INIT", "",    "ExtINT"};

std::string difference(const MsixEntry& before, const MsixEntry& found) {
  const MsiMessage was = before.message();
  const MsiMessage is = found.message();
  if (is.address != was.address) {
    return fmt::format("its address is {:#x}, and was {:#x} at the last look", is.address,
                       was.address);
  }
  return fmt::format("its data is {:#x}, and was {:#x} at the last look", is.data, was.data);
}

// Bits 11:5 are bits 14:8 of an id (KVM_FEATURE_MSI_EXT_DEST_ID), and 0 where that was not offered.
std::string destination(uint64_t address) {
  const uint64_t id = (address >> 12 & 0xff) | (address >> 5 & 0x7f) << 8;
  return (address & kLogical) != 0 ? fmt::format("APICs {:#x} (logical)", id)
                                   : fmt::format("APIC {}", id);
}

std::string interrupt(uint32_t data) {
  const uint32_t mode = data >> 8 & 7;
  return mode <= 1 ? fmt::format("vector {:#x}", data & 0xff) : kWithoutVector[mode];
}

struct Finding {
  Verdict verdict = Verdict::Ok;
  std::string why{};
};

std::optional<Finding> find_damage(const FunctionState& function, const VectorState& vector) {
  if (function.control) {
    if ((*function.control & PCI_MSIX_FLAGS_ENABLE) == 0) return Finding{Verdict::EnableLost, {}};
    if ((*function.control & PCI_MSIX_FLAGS_MASKALL) != 0) {
      return Finding{Verdict::FunctionMaskLeft, {}};
    }
  }
  if (!vector.in_device) return std::nullopt;
  const MsixEntry& found = *vector.in_device;
  switch (entry_fault(found, vector.last_sound)) {
    case EntryFault::None:
      return std::nullopt;
    case EntryFault::NoAnswer:
      return Finding{Verdict::Different, "the device does not answer"};
    case EntryFault::Empty:
      return Finding{Verdict::Cleared, {}};
    case EntryFault::NoMessage:
      return Finding{
          Verdict::Different,
          fmt::format("its address {:#x} is not an interrupt address", found.message().address)};
    case EntryFault::Changed:
      return Finding{Verdict::Different, difference(*vector.last_sound, found)};
    case EntryFault::Masked:
      // A host driver may mask in the device; VFIO never does.
      if (function.user == FunctionState::User::HostDriver) return std::nullopt;
      return Finding{Verdict::Different, "its mask bit is set"};
  }
  return std::nullopt;
}

Finding find(const FunctionState& function, const VectorState& vector) {
  const bool by_guest = function.user == FunctionState::User::Guest;
  const Verdict masked = by_guest ? Verdict::MaskedByGuest : Verdict::MaskedByHost;
  if (!function.enabled) return {Verdict::Unused, {}};
  const bool wanted = !vector.masked && !function.function_masked;
  if (!vector.bound && !wanted) return {Verdict::Unused, {}};
  if (!vector.bound) return {Verdict::NotRouted, vector.last_error};
  if (auto damage = find_damage(function, vector)) return *damage;
  if (!wanted) return {masked, function.function_masked ? "by its function mask" : ""};
  if (!by_guest && vector.in_device && vector.in_device->masked()) return {masked, {}};
  if (!vector.unroutable.empty()) return {Verdict::NotRouted, vector.unroutable};
  if (function.owners_known && !vector.armed()) return {Verdict::NotRouted, vector.last_error};
  if (vector.unread) return {Verdict::NotRouted, "what the VMM armed does not take its signals"};
  if (!vector.in_device) return {Verdict::NotSeen, function.unseen};
  return {Verdict::Ok, {}};
}

}  // namespace

const char* to_string(Verdict verdict) {
  switch (verdict) {
    case Verdict::Unknown:
      return "unknown";
    case Verdict::Ok:
      return "ok";
    case Verdict::Unused:
      return "unused";
    case Verdict::MaskedByGuest:
      return "masked by guest";
    case Verdict::MaskedByHost:
      return "masked by host";
    case Verdict::NotSeen:
      return "not seen";
    case Verdict::Cleared:
      return "cleared";
    case Verdict::Different:
      return "different";
    case Verdict::NotRouted:
      return "not routed";
    case Verdict::EnableLost:
      return "enable bit lost";
    case Verdict::FunctionMaskLeft:
      return "function mask left on";
  }
  return "unknown";
}

VectorInspection judge(const FunctionState& function, VectorState vector) {
  Finding finding = find(function, vector);
  VectorInspection judged{std::move(vector)};
  judged.verdict = finding.verdict;
  judged.why = std::move(finding.why);
  judged.damaged = is_damage(finding.verdict);
  return judged;
}

std::string describe_message(const MsiMessage& message, bool remapped) {
  if (message.address == 0 && message.data == 0) return "empty";
  if (!is_interrupt_address(message.address)) return "no interrupt";
  if (const auto index = vtd_index(message)) return fmt::format("remapped, index {:#x}", *index);
  if (remapped) return fmt::format("remapped, index {:#x}", message.data & kAmdIndex);
  if (!is_interrupt_data(message.data)) return "no interrupt";
  return fmt::format("{} {}", destination(message.address), interrupt(message.data));
}

}  // namespace passthru
