// SPDX-License-Identifier: MIT
// The order of restoring: memory decode first, because without it no entry can be written; then
// Message Control, which only a full cycle of the index brings back; then single entries,
// ascending.
#include "irq/table_restorer.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <set>
#include <thread>
#include <utility>

namespace passthru {
namespace {

bool is_on(uint16_t control) {
  return (control & (PCI_MSIX_FLAGS_ENABLE | PCI_MSIX_FLAGS_MASKALL)) == PCI_MSIX_FLAGS_ENABLE;
}

void keep_first(Result<void>& kept, Result<void> next) {
  if (kept) kept = std::move(next);
}

Result<void> damaged_again(std::span<const unsigned> vectors) {
  return fail(
      EIO, "restore MSI-X vectors",
      fmt::format("the entries of {} vectors, the first of them {}, are damaged again after "
                  "each of {} SET_IRQS",
                  vectors.size(), vectors.front(), TableRestorer::kMaxAttempts));
}

}  // namespace

TableRestorer::TableRestorer(const PhysicalTable* table, Vectors& vectors, Wake wake, Pause pause,
                             Now now)
    : table_(table),
      vectors_(vectors),
      wake_(std::move(wake)),
      pause_(std::move(pause)),
      now_(std::move(now)),
      seen_(vectors.count()),
      counts_(vectors.count()),
      failed_at_(vectors.count(), UINT64_MAX) {
  if (!pause_) pause_ = [] { std::this_thread::sleep_for(std::chrono::microseconds(100)); };
}

RestoreResult TableRestorer::after_bind(std::span<const unsigned> vectors) {
  auto found = damaged(vectors);
  return found.empty() ? RestoreResult{} : restore(std::move(found));
}

RestoreResult TableRestorer::before_enable(unsigned vector) {
  if (!visible() && !vectors_.lost(vector) && !control_is_lost()) {
    return {.outcome = vectors_.rebind(vector)};
  }
  if (visible() && !vectors_.lost(vector) && fault(vector) == EntryFault::None) return {};
  auto found = damaged({&vector, 1});
  if (visible() && found.empty()) return {};
  return restore(std::move(found));
}

std::optional<MsixEntry> TableRestorer::last_sound(unsigned vector) const {
  const Seen& seen = seen_[vector];
  if (seen.writes == 0 || seen.writes != vectors_.writes(vector)) return std::nullopt;
  return seen.entry;
}

std::optional<MsixEntry> TableRestorer::look(unsigned vector) const {
  return table_ == nullptr ? std::nullopt : table_->entry(vector);
}

std::vector<unsigned> TableRestorer::all_bound() const {
  std::vector<unsigned> bound;
  for (unsigned vector = 0; vector < vectors_.count(); ++vector) {
    if (vectors_.bound(vector)) bound.push_back(vector);
  }
  return bound;
}

// False also if the device does not answer: the entries show that.
bool TableRestorer::control_is_lost() const {
  if (table_ == nullptr || !vectors_.enabled()) return false;
  const auto control = table_->control();
  return control && !is_on(*control);
}

EntryFault TableRestorer::fault(unsigned vector) {
  const auto entry = look(vector);
  if (!entry) return EntryFault::None;
  const EntryFault fault = entry_fault(*entry, last_sound(vector));
  if (fault == EntryFault::None) {
    seen_[vector] = {.writes = vectors_.writes(vector), .entry = *entry};
  }
  return fault;
}

// Those of `vectors` that are lost or whose entries are damaged, ascending.
std::vector<unsigned> TableRestorer::damaged(std::span<const unsigned> vectors) {
  std::vector<unsigned> found;
  std::vector<unsigned> masked;
  for (const unsigned vector : vectors) {
    const EntryFault fault = vectors_.lost(vector) ? EntryFault::Empty : this->fault(vector);
    if (fault == EntryFault::None) continue;
    (fault == EntryFault::Masked ? masked : found).push_back(vector);
  }
  for (unsigned looks = 0; looks < kMaxLooks && !masked.empty(); ++looks) {
    pause_();
    std::erase_if(masked, [&](unsigned vector) {
      const EntryFault fault = this->fault(vector);
      if (fault != EntryFault::None && fault != EntryFault::Masked) found.push_back(vector);
      return fault != EntryFault::Masked;
    });
  }
  found.insert(found.end(), masked.begin(), masked.end());
  std::sort(found.begin(), found.end());
  return found;
}

// Makes the device ready to be restored. Returns whether all of the index must be.
Result<bool> TableRestorer::needs_cycle() {
  if (table_ == nullptr) return vectors_.down();
  PASSTHRU_TRY(wake_());
  const auto control = table_->control();
  if (!control) {
    return fail(ENODEV, "read MSI-X Message Control", "the device does not answer");
  }
  return vectors_.down() || !is_on(*control);
}

// A vector that the kernel refuses holds up no other.
Result<void> TableRestorer::rebind(std::span<const unsigned> vectors) {
  Result<void> outcome;
  for (const unsigned vector : vectors) keep_first(outcome, vectors_.rebind(vector));
  return outcome;
}

// The next reset may come before the restore is done: look again after SET_IRQS.
RestoreResult TableRestorer::restore(std::vector<unsigned> damaged) {
  ++damages_;
  RestoreResult restored;
  std::set<unsigned> sound;
  for (unsigned attempt = 0; attempt < kMaxAttempts; ++attempt) {
    if (attempt != 0 && damaged.empty()) break;
    const auto cycle = needs_cycle();
    if (!cycle) {
      keep_first(restored.outcome, tl::unexpected(cycle.error()));
      break;
    }
    if (*cycle) {
      const uint64_t enables = vectors_.enables();
      keep_first(restored.outcome, vectors_.cycle());
      if (vectors_.enables() == enables) break;
      sound.clear();
      damaged = all_bound();
    } else {
      keep_first(restored.outcome, rebind(damaged));
      std::erase_if(damaged, [&](unsigned vector) { return vectors_.lost(vector); });
    }
    sound.insert(damaged.begin(), damaged.end());
    damaged = this->damaged(damaged);
    for (const unsigned vector : damaged) sound.erase(vector);
  }
  if (!damaged.empty()) keep_first(restored.outcome, damaged_again(damaged));
  restored.damaged = std::move(damaged);
  std::erase_if(sound, [&](unsigned vector) { return !vectors_.bound(vector); });
  restored.vectors.assign(sound.begin(), sound.end());
  for (const unsigned vector : restored.vectors) ++counts_[vector];
  count_ += restored.vectors.size();
  return restored;
}

}  // namespace passthru
