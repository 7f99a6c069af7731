// SPDX-License-Identifier: MIT
// The defaults for a VMM that has neither interrupt remapping nor level-triggered interrupts, and
// whose routes cost the same to change together or separately.
#include "irq/router.h"

#include <utility>

#include "irq/remap.h"

namespace passthru {

Result<MsiMessage> Router::translate(const MsiMessage& message, uint16_t /*requester_id*/) {
  return translate_plain(message);
}

std::vector<Result<RouteId>> Router::change_routes(std::span<const RouteChange> changes) {
  std::vector<Result<RouteId>> answers;
  answers.reserve(changes.size());
  for (const RouteChange& change : changes) {
    if (!change.route) {
      answers.push_back(create_route(change.message, change.requester_id));
    } else if (auto updated = update_route(*change.route, change.message); updated) {
      answers.emplace_back(*change.route);
    } else {
      answers.emplace_back(tl::unexpected(std::move(updated).error()));
    }
  }
  return answers;
}

Result<void> Router::arm_intx(Bdf /*guest_address*/, unsigned /*pin*/, int /*eventfd*/,
                              int /*resample*/) {
  return fail(ENOTSUP, "deliver INTx", "the VMM has no resampling eventfds");
}

void Router::disarm_intx(Bdf /*guest_address*/, unsigned /*pin*/, int /*eventfd*/) {}

}  // namespace passthru
