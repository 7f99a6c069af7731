// SPDX-License-Identifier: MIT
// Owns the order of healing: decode first, so that the table can be written; then Message Control,
// which only a full cycle of the index brings back; then single entries, ascending.
#include "irq/restore.h"

namespace passthru {
namespace {

constexpr uint32_t kRemappableFormat = 1U << 4;

}  // namespace

bool is_damaged(const MsixEntry& expected, const MsixEntry& found) {
  if (found == expected) return false;
  if (found.masked() != expected.masked()) return true;
  const bool same_kind = (expected.address_low & kRemappableFormat) == 0 &&
                         (found.address_low & kRemappableFormat) == 0;
  const bool still_a_message = found.address_low != 0 && found.address_low != ~uint32_t{0};
  return !(same_kind && still_a_message);
}

Restore::Restore(const PhysicalTable* table, Vectors& vectors, Wake wake)
    : table_(table),
      vectors_(vectors),
      wake_(std::move(wake)),
      expected_(vectors.count()),
      counts_(vectors.count()) {}

void Restore::remember(std::span<const unsigned> vectors) {
  for (unsigned vector : vectors) {
    if (auto entry = look(vector)) expected_[vector] = *entry;
  }
}

void Restore::remember_all_bound() {
  for (unsigned vector = 0; vector < vectors_.count(); ++vector) {
    if (vectors_.bound(vector)) remember({&vector, 1});
  }
}

Result<Restored> Restore::before_enable(unsigned vector) {
  if (table_ == nullptr || !table_->visible()) {
    PASSTHRU_TRY(vectors_.rebind(vector));
    return Restored{};
  }
  if (!damaged(vector)) return Restored{};
  return heal({&vector, 1});
}

Result<Restored> Restore::audit() {
  if (table_ == nullptr || !vectors_.enabled()) return Restored{};
  std::vector<unsigned> found;
  for (unsigned vector = 0; vector < vectors_.count(); ++vector) {
    if (vectors_.bound(vector) && damaged(vector)) found.push_back(vector);
  }
  const auto control = table_->control();
  const bool enabled = !control || (*control & (kMsixEnable | kMsixFunctionMask)) == kMsixEnable;
  if (found.empty() && enabled) return Restored{};
  return heal(found);
}

std::optional<MsixEntry> Restore::look(unsigned vector) const {
  return table_ == nullptr ? std::nullopt : table_->entry(vector);
}

bool Restore::damaged(unsigned vector) const {
  const auto entry = look(vector);
  return entry && is_damaged(expected_[vector], *entry);
}

Result<Restored> Restore::heal(std::span<const unsigned> damaged) {
  PASSTHRU_TRY(wake_());
  const auto control = table_->control();
  if (!control) {
    return fail(ENODEV, "read MSI-X Message Control", "the device does not answer");
  }
  Restored done;
  Result<void> outcome;
  if ((*control & (kMsixEnable | kMsixFunctionMask)) != kMsixEnable) {
    PASSTHRU_TRY(vectors_.cycle());
    for (unsigned vector = 0; vector < vectors_.count(); ++vector) {
      if (vectors_.bound(vector)) done.push_back(vector);
    }
  } else {
    for (unsigned vector : damaged) {
      outcome = vectors_.rebind(vector);
      if (!outcome) break;
      done.push_back(vector);
    }
  }
  remember(done);
  for (unsigned vector : done) restored(vector);
  if (outcome) return done;
  // The caller hears of the failure alone, and the next look finds these sound.
  for (unsigned vector : done) vectors_.signal(vector);
  return tl::unexpected(std::move(outcome).error());
}

void Restore::restored(unsigned vector) {
  ++counts_[vector];
  ++count_;
}

}  // namespace passthru
