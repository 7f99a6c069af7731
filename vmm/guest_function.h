// SPDX-License-Identifier: MIT
// The interface of a function in a slot of the VMM's PCI bus.
#pragma once

#include <cstdint>

namespace passthru {

/// Config space of one PCI function. Called on any vCPU's thread, several at once.
class GuestFunction {
 public:
  virtual ~GuestFunction() = default;
  /// `offset` is below 4096; `width` is 1, 2 or 4 and the access naturally aligned.
  virtual uint32_t config_read(uint32_t offset, unsigned width) = 0;
  virtual void config_write(uint32_t offset, unsigned width, uint32_t value) = 0;
};

}  // namespace passthru
