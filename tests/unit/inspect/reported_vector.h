// SPDX-License-Identifier: MIT
// Vectors as a VMM reports them.
#pragma once

#include "device/inspection.h"

namespace passthru {

inline VectorInspection reported_vector(unsigned index, Verdict verdict = Verdict::Ok) {
  VectorInspection vector;
  vector.index = index;
  vector.owner = EventfdOwner::Irqfd;
  vector.verdict = verdict;
  vector.damaged = is_damage(verdict);
  return vector;
}

}  // namespace passthru
