// SPDX-License-Identifier: MIT
// The audit's part of restoring: how many entries it looks at, and when. In peace it glances for a
// bounded time. Where a restore fails, it tries again more and more seldom.
#include <algorithm>

#include "irq/table_restorer.h"

namespace passthru {
namespace {

constexpr unsigned kGlancesPerClock = 32;

}  // namespace

Healed Restore::audit() {
  const bool control_lost = control_is_lost();
  const bool all_dead = control_lost || vectors_.down();
  if (pace_.failing() && is_other_damage(control_lost)) start_over();
  if (pace_.waits()) return all_dead ? Healed{.outcome = failure_} : look_at_others();
  const bool broken = all_dead || any_lost();
  if (!pace_.failing() && !broken && glance(Glance::First).empty()) return {};
  std::vector<unsigned> known;
  for (unsigned vector = 0; vector < vectors_.count(); ++vector) {
    if (vectors_.bound(vector) || vectors_.lost(vector)) known.push_back(vector);
  }
  auto found = damaged(known);
  Healed healed;
  if (broken || !found.empty()) healed = restore(std::move(found));
  keep_pace(healed);
  return healed;
}

// What could not be restored waits. No other vector waits with it.
Healed Restore::look_at_others() {
  auto found = damaged(glance(Glance::Others));
  Healed healed;
  if (!found.empty()) healed = restore(std::move(found));
  if (!healed.outcome) remember_failed(healed);
  healed.outcome = failure_;
  return healed;
}

// Starts behind the last vector of the previous glance. Returns vectors that need a look,
// ascending.
std::vector<unsigned> Restore::glance(Glance which) {
  std::vector<unsigned> found;
  const auto end = now_() + kGlanceFor;
  for (unsigned glances = 0, step = 0; step < vectors_.count(); ++step) {
    const unsigned vector = next_glance_;
    next_glance_ = (vector + 1) % vectors_.count();
    if (which == Glance::Others && failed_at_[vector] == vectors_.writes(vector)) continue;
    if (vectors_.lost(vector)) {
      found.push_back(vector);
    } else if (visible() && vectors_.bound(vector)) {
      if (calls_for_a_look(*table_->glance(vector), last_sound(vector))) found.push_back(vector);
      if (++glances % kGlancesPerClock == 0 && now_() >= end) break;
    }
    if (which == Glance::First && !found.empty()) break;
  }
  std::sort(found.begin(), found.end());
  return found;
}

bool Restore::any_lost() const {
  for (unsigned vector = 0; vector < vectors_.count(); ++vector) {
    if (vectors_.lost(vector)) return true;
  }
  return false;
}

// Message Control is lost and was not when the last restore failed, or somebody has enabled the
// index since.
bool Restore::is_other_damage(bool control_lost) const {
  return vectors_.enables() != enables_at_failure_ || (control_lost && !control_lost_at_failure_);
}

void Restore::start_over() {
  pace_.succeeded();
  std::fill(failed_at_.begin(), failed_at_.end(), UINT64_MAX);
}

void Restore::keep_pace(const Healed& healed) {
  if (healed.outcome) {
    if (pace_.failing()) start_over();
    return;
  }
  // Where something was restored, it is worth another try at once.
  if (!healed.vectors.empty()) pace_.succeeded();
  pace_.failed();
  remember_failed(healed);
  failure_ = healed.outcome;
  enables_at_failure_ = vectors_.enables();
  control_lost_at_failure_ = control_is_lost();
}

void Restore::remember_failed(const Healed& healed) {
  for (const unsigned vector : healed.damaged) failed_at_[vector] = vectors_.writes(vector);
  for (unsigned vector = 0; vector < vectors_.count(); ++vector) {
    if (vectors_.lost(vector)) failed_at_[vector] = vectors_.writes(vector);
  }
}

}  // namespace passthru
