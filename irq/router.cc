// SPDX-License-Identifier: MIT
// Owns what a VMM without level-triggered interrupts answers.
#include "irq/router.h"

namespace passthru {

Result<void> Router::arm_intx(Bdf /*guest_address*/, unsigned /*pin*/, int /*eventfd*/,
                              int /*resample*/) {
  return fail(ENOTSUP, "deliver INTx", "the VMM has no resampling eventfds");
}

void Router::disarm_intx(Bdf /*guest_address*/, unsigned /*pin*/, int /*eventfd*/) {}

}  // namespace passthru
