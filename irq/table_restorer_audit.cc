// SPDX-License-Identifier: MIT
// The audit's part of restoring: how many entries it looks at, and when. In peace it glances for a
// bounded time. Where a restore fails, it tries again more and more seldom.
#include <algorithm>

#include "irq/table_restorer.h"

namespace passthru {
namespace {

constexpr unsigned kGlancesPerClock = 32;

}  // namespace

RestoreResult TableRestorer::audit() {
  const bool control_lost = control_is_lost();
  const bool all_dead = control_lost || vectors_.down();
  if (pace_.failing() && is_other_damage(control_lost)) start_over();
  if (pace_.waits()) return all_dead ? RestoreResult{.outcome = failure_} : look_at_others();
  const bool broken = all_dead || any_lost();
  if (!pace_.failing() && !broken && glance(Glance::First).empty()) return {};
  std::vector<unsigned> known;
  for (unsigned vector = 0; vector < vectors_.count(); ++vector) {
    if (vectors_.bound(vector) || vectors_.lost(vector)) known.push_back(vector);
  }
  auto found = damaged(known);
  RestoreResult restored;
  if (broken || !found.empty()) restored = restore(std::move(found));
  keep_pace(restored);
  return restored;
}

// What could not be restored waits. No other vector waits with it.
RestoreResult TableRestorer::look_at_others() {
  auto found = damaged(glance(Glance::Others));
  RestoreResult restored;
  if (!found.empty()) restored = restore(std::move(found));
  if (!restored.outcome) remember_failed(restored);
  restored.outcome = failure_;
  return restored;
}

// Starts behind the last vector of the previous glance. Returns vectors that need a look,
// ascending.
std::vector<unsigned> TableRestorer::glance(Glance which) {
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

bool TableRestorer::any_lost() const {
  for (unsigned vector = 0; vector < vectors_.count(); ++vector) {
    if (vectors_.lost(vector)) return true;
  }
  return false;
}

// Message Control is lost and was not when the last restore failed, or somebody has enabled the
// index since.
bool TableRestorer::is_other_damage(bool control_lost) const {
  return vectors_.enables() != enables_at_failure_ || (control_lost && !control_lost_at_failure_);
}

void TableRestorer::start_over() {
  pace_.succeeded();
  std::fill(failed_at_.begin(), failed_at_.end(), UINT64_MAX);
}

void TableRestorer::keep_pace(const RestoreResult& restored) {
  if (restored.outcome) {
    if (pace_.failing()) start_over();
    return;
  }
  // Where something was restored, it is worth another try at once.
  if (!restored.vectors.empty()) pace_.succeeded();
  pace_.failed();
  remember_failed(restored);
  failure_ = restored.outcome;
  enables_at_failure_ = vectors_.enables();
  control_lost_at_failure_ = control_is_lost();
}

void TableRestorer::remember_failed(const RestoreResult& restored) {
  for (const unsigned vector : restored.damaged) failed_at_[vector] = vectors_.writes(vector);
  for (unsigned vector = 0; vector < vectors_.count(); ++vector) {
    if (vectors_.lost(vector)) failed_at_[vector] = vectors_.writes(vector);
  }
}

}  // namespace passthru
