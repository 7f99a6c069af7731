// SPDX-License-Identifier: MIT
// The decoding of config accesses: the function and the register of an address.
#include "vmm/pci_bus.h"

#include <fmt/format.h>

#include <algorithm>

#include "vmm/bytes.h"

namespace passthru {
namespace {

constexpr uint32_t kAllOnes = ~uint32_t{0};
constexpr uint64_t kRegisterMask = 0xFFF;

constexpr unsigned kConfigData = 4;  // offset of CONFIG_DATA behind CONFIG_ADDRESS
constexpr uint32_t kConfigEnable = 1u << 31;
constexpr uint32_t kConfigAddressBits = 0x80FFFFFC;
constexpr unsigned kResetControl = 1;  // port 0xCF9
constexpr uint64_t kResetCpu = 0x4;

// Mechanism 1 reaches the first 256 bytes: bus 23:16, device 15:11, function 10:8, register 7:2.
uint64_t ecam_address(uint32_t config_address) {
  return (uint64_t{config_address} & 0xFFFF00) << 4 | (config_address & 0xFC);
}

}  // namespace

Result<void> PciBus::plug(unsigned slot, std::shared_ptr<GuestFunction> function, unsigned number) {
  if (slot >= kSlots || number >= kFunctions) {
    return fail(EINVAL, "plug a PCI device",
                fmt::format("slot {}, function {} does not exist: a bus has {} slots with {} "
                            "functions",
                            slot, number, kSlots, kFunctions));
  }
  auto& place = functions_[slot * kFunctions + number];
  if (place) {
    return fail(EBUSY, "plug a PCI device",
                fmt::format("slot {}, function {} is taken", slot, number));
  }
  place = std::move(function);
  return {};
}

GuestFunction* PciBus::find(uint64_t address) const {
  const uint64_t bus = address >> 20;
  const uint64_t slot_and_function = address >> 12 & 0xFF;
  return bus == 0 ? functions_[slot_and_function].get() : nullptr;
}

uint32_t PciBus::read(uint64_t address, unsigned width) const {
  GuestFunction* function = find(address);
  if (!function) return kAllOnes;
  return function->config_read(static_cast<uint32_t>(address & kRegisterMask), width);
}

void PciBus::write(uint64_t address, unsigned width, uint32_t value) const {
  if (GuestFunction* function = find(address)) {
    function->config_write(static_cast<uint32_t>(address & kRegisterMask), width, value);
  }
}

void Ecam::read(uint64_t offset, std::span<std::byte> data) {
  for_each_aligned_piece(offset, data.size(), [&](uint64_t at, size_t index, unsigned width) {
    to_bytes(bus_.read(at, width), data.subspan(index, width));
  });
}

void Ecam::write(uint64_t offset, std::span<const std::byte> data) {
  for_each_aligned_piece(offset, data.size(), [&](uint64_t at, size_t index, unsigned width) {
    bus_.write(at, width, static_cast<uint32_t>(from_bytes(data.subspan(index, width))));
  });
}

void ConfigPorts::read(uint64_t offset, std::span<std::byte> data) {
  std::fill(data.begin(), data.end(), std::byte{0xFF});
  const uint32_t address = address_.load(std::memory_order_relaxed);
  if (offset == 0 && data.size() == 4) {
    to_bytes(address, data);
  } else if (offset >= kConfigData && address & kConfigEnable) {
    const uint64_t base = ecam_address(address) + offset - kConfigData;
    for_each_aligned_piece(base, data.size(), [&](uint64_t at, size_t index, unsigned width) {
      to_bytes(bus_.read(at, width), data.subspan(index, width));
    });
  }
}

void ConfigPorts::write(uint64_t offset, std::span<const std::byte> data) {
  if (offset == 0 && data.size() == 4) {
    address_.store(static_cast<uint32_t>(from_bytes(data)) & kConfigAddressBits,
                   std::memory_order_relaxed);
    return;
  }
  // CONFIG_ADDRESS takes only whole double words: narrower accesses are to other ports.
  if (offset == kResetControl && data.size() == 1) {
    if (from_bytes(data) & kResetCpu) reset_();
    return;
  }
  const uint32_t address = address_.load(std::memory_order_relaxed);
  if (offset < kConfigData || !(address & kConfigEnable)) return;
  const uint64_t base = ecam_address(address) + offset - kConfigData;
  for_each_aligned_piece(base, data.size(), [&](uint64_t at, size_t index, unsigned width) {
    bus_.write(at, width, static_cast<uint32_t>(from_bytes(data.subspan(index, width))));
  });
}

}  // namespace passthru
