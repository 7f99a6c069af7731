// SPDX-License-Identifier: MIT
// The host bridge that every PC has at 00:00.0, without registers of its own.
#pragma once

#include "vmm/guest_function.h"

namespace passthru {

/// Reads as a type 0 header with nothing in it but identity; writes are dropped.
class HostBridge final : public GuestFunction {
 public:
  uint32_t config_read(uint32_t offset, unsigned width) override {
    // PCI 3.0, 6.1: the ids of the generic PCIe host bridge of QEMU's vendor id, for which guests
    // have no quirks; class 06.00.00.
    constexpr uint32_t kIds = 0x0008'1B36, kClass = 0x0600'0000;
    const uint32_t dword = offset / 4 == 0 ? kIds : offset / 4 == 2 ? kClass : 0;
    const uint32_t value = dword >> (8 * (offset % 4));
    return width == 4 ? value : value & ((1u << (8 * width)) - 1);
  }
  void config_write(uint32_t /*offset*/, unsigned /*width*/, uint32_t /*value*/) override {}
};

}  // namespace passthru
