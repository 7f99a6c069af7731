// SPDX-License-Identifier: MIT
// Owns what a VMM answers that has neither interrupt remapping nor level-triggered interrupts.
#include "irq/router.h"

#include "irq/remap.h"

namespace passthru {

Result<MsiMessage> Router::translate(const MsiMessage& message, uint16_t /*requester_id*/) {
  return translate_plain(message);
}

Result<void> Router::arm_intx(Bdf /*guest_address*/, unsigned /*pin*/, int /*eventfd*/,
                              int /*resample*/) {
  return fail(ENOTSUP, "deliver INTx", "the VMM has no resampling eventfds");
}

void Router::disarm_intx(Bdf /*guest_address*/, unsigned /*pin*/, int /*eventfd*/) {}

}  // namespace passthru
