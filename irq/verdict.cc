// SPDX-License-Identifier: MIT
// Owns the order in which views are compared, and the words for what was found.
#include "irq/verdict.h"

#include <fmt/format.h>

#include <array>

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

std::optional<Judgement> judge_device(const VectorView& view) {
  if (view.control) {
    if ((*view.control & kMsixEnable) == 0) return Judgement{Verdict::EnableLost, {}};
    if ((*view.control & kMsixFunctionMask) != 0) return Judgement{Verdict::FunctionMaskLeft, {}};
  }
  if (!view.in_device) return std::nullopt;
  const MsixEntry& found = *view.in_device;
  switch (entry_fault(found, view.last_sound)) {
    case EntryFault::None:
      return std::nullopt;
    case EntryFault::NoAnswer:
      return Judgement{Verdict::Different, "the device does not answer"};
    case EntryFault::Empty:
      return Judgement{Verdict::Cleared, {}};
    case EntryFault::NoMessage:
      return Judgement{Verdict::Different, fmt::format("its address is {:#x}, no interrupt address",
                                                       found.message().address)};
    case EntryFault::Changed:
      return Judgement{Verdict::Different, difference(*view.last_sound, found)};
    case EntryFault::Masked:
      // A driver of the host may mask in the device; VFIO never does.
      if (view.user == VectorView::User::HostDriver) return std::nullopt;
      return Judgement{Verdict::Different, "its mask bit is set"};
  }
  return std::nullopt;
}

}  // namespace

const char* to_string(Verdict verdict) {
  switch (verdict) {
    case Verdict::Ok:
      return "ok";
    case Verdict::Unused:
      return "unused";
    case Verdict::MaskedByGuest:
      return "masked by guest";
    case Verdict::MaskedByHost:
      return "masked by host";
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
  return "unused";
}

Judgement judge(const VectorView& view) {
  const bool by_guest = view.user == VectorView::User::Guest;
  const Verdict masked = by_guest ? Verdict::MaskedByGuest : Verdict::MaskedByHost;
  if (!view.enabled) return {Verdict::Unused, {}};
  const bool wanted = !view.masked && !view.function_masked;
  if (!view.bound && !wanted) return {Verdict::Unused, {}};
  if (!view.bound) return {Verdict::NotRouted, view.last_error};
  if (auto damage = judge_device(view)) return *damage;
  if (!wanted) return {masked, view.function_masked ? "by its function mask" : ""};
  if (!by_guest && view.in_device && view.in_device->masked()) return {masked, {}};
  if (!view.unroutable.empty()) return {Verdict::NotRouted, view.unroutable};
  if (!view.armed) return {Verdict::NotRouted, view.last_error};
  if (view.unread) return {Verdict::NotRouted, "what the VMM armed does not take its signals"};
  return {Verdict::Ok, {}};
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
