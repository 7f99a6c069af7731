// SPDX-License-Identifier: MIT
#include "mmap/config_reader.h"

#include <fmt/format.h>
#include <linux/pci_regs.h>

#include <algorithm>
#include <array>
#include <bitset>
#include <optional>
#include <span>
#include <thread>

#include "pci/capability_list.h"

namespace passthru {
namespace {

using Bytes = std::vector<std::byte>;

constexpr std::chrono::milliseconds kPause{10};
constexpr uint32_t kConventional = PCI_CFG_SPACE_SIZE;

Result<uint16_t> status_of(PhysicalConfig& registers) {
  std::array<std::byte, 2> status{};
  PASSTHRU_TRY(registers.read(PCI_STATUS, status));
  return config_u16(status, 0);
}

Result<void> read_dword(PhysicalConfig& registers, Bytes& config, uint32_t offset) {
  return registers.read(offset, std::span(config).subspan(offset, 4));
}

Result<Bytes> read_once(PhysicalConfig& registers, uint32_t size) {
  Bytes config(size);
  for (uint32_t offset = 0; offset + 4 <= std::min(size, kConventional); offset += 4) {
    PASSTHRU_TRY(read_dword(registers, config, offset));
  }
  // Walks as listed_extended_capabilities(): visits each offset at most once.
  std::bitset<PCI_CFG_SPACE_EXP_SIZE> seen;
  uint32_t next = kConventional;
  while (next >= kConventional && next + 4 <= std::min<uint32_t>(size, PCI_CFG_SPACE_EXP_SIZE) &&
         !seen[next]) {
    seen.set(next);
    PASSTHRU_TRY(read_dword(registers, config, next));
    next = config_u32(config, next) >> 20 & 0xffc;
  }
  return config;
}

/// Returns nothing if the function did not answer at some time. A silence that hides one register
/// in both passes lasts from one pass to the other, so it also hides Status in one of them.
Result<std::optional<Bytes>> read_twice(PhysicalConfig& registers, uint32_t size) {
  if (!is_answer(PASSTHRU_TRY(status_of(registers)))) return std::optional<Bytes>();
  Bytes first = PASSTHRU_TRY(read_once(registers, size));
  const Bytes second = PASSTHRU_TRY(read_once(registers, size));
  // The kernel answers for the ids, with the values that it read when the function was opened.
  const bool answered = is_answer(config_u16(first, PCI_STATUS)) &&
                        is_answer(config_u16(second, PCI_STATUS)) &&
                        config_u16(first, PCI_VENDOR_ID) != UINT16_MAX;
  if (!answered) return std::optional<Bytes>();
  std::transform(first.begin(), first.end(), second.begin(), first.begin(),
                 [](std::byte a, std::byte b) { return a & b; });
  return std::optional<Bytes>(std::move(first));
}

}  // namespace

bool is_answer(uint16_t status) {
  return (status | PCI_STATUS_CAP_LIST) != UINT16_MAX;
}

Result<Bytes> read_config(PhysicalConfig& registers, uint32_t size,
                          std::chrono::milliseconds response_timeout, const std::string& bdf) {
  const auto attempts = 1 + std::max<int64_t>(0, response_timeout / kPause);
  for (int64_t attempt = 0; attempt < attempts; ++attempt) {
    if (attempt != 0) std::this_thread::sleep_for(kPause);
    if (auto config = PASSTHRU_TRY(read_twice(registers, size))) return std::move(*config);
  }
  return tl::unexpected(Error{
      .code = EIO,
      .operation = "open the device",
      .device = bdf,
      .cause = "its config space reads as all ones",
      .advice = fmt::format("Try again when 'setpci -s {} STATUS' no longer prints ffff", bdf)});
}

}  // namespace passthru
