// SPDX-License-Identifier: MIT
// Owns the order of healing: decode first, so that the table can be written; then Message Control,
// which only a full cycle of the index brings back; then single entries, ascending.
#include "irq/restore.h"

#include "irq/remap.h"

namespace passthru {
namespace {

bool is_on(uint16_t control) {
  return (control & (kMsixEnable | kMsixFunctionMask)) == kMsixEnable;
}

}  // namespace

bool is_damaged(const MsixEntry& expected, const MsixEntry& found) {
  if (found == expected) return false;
  if (found.masked() != expected.masked()) return true;
  const bool same_kind = !is_remappable(expected.address_low) && !is_remappable(found.address_low);
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

Healed Restore::before_enable(unsigned vector) {
  const bool visible = table_ != nullptr && table_->visible();
  if (!visible && !vectors_.lost(vector)) return {.outcome = vectors_.rebind(vector)};
  if (!damaged(vector)) return {};
  return heal({&vector, 1});
}

Healed Restore::audit() {
  std::vector<unsigned> found;
  for (unsigned vector = 0; vector < vectors_.count(); ++vector) {
    if (damaged(vector)) found.push_back(vector);
  }
  const auto control = vectors_.enabled() ? look_at_control() : std::nullopt;
  if (found.empty() && !vectors_.down() && (!control || is_on(*control))) return {};
  return heal(found);
}

std::optional<MsixEntry> Restore::look(unsigned vector) const {
  return table_ == nullptr ? std::nullopt : table_->entry(vector);
}

std::optional<uint16_t> Restore::look_at_control() const {
  return table_ == nullptr ? std::nullopt : table_->control();
}

bool Restore::damaged(unsigned vector) const {
  if (vectors_.lost(vector)) return true;
  if (!vectors_.bound(vector)) return false;
  const auto entry = look(vector);
  return entry && is_damaged(expected_[vector], *entry);
}

// Makes the device ready to be healed. Returns whether all of its index must be.
Result<bool> Restore::prepare() {
  if (table_ == nullptr) return vectors_.down();
  PASSTHRU_TRY(wake_());
  const auto control = look_at_control();
  if (!control) {
    return fail(ENODEV, "read MSI-X Message Control", "the device does not answer");
  }
  return vectors_.down() || !is_on(*control);
}

Healed Restore::heal(std::span<const unsigned> damaged) {
  ++damages_;
  Healed healed;
  auto all = prepare();
  if (!all) {
    healed.outcome = tl::unexpected(std::move(all).error());
  } else if (*all) {
    healed.outcome = vectors_.cycle();
    for (unsigned vector = 0; healed.outcome && vector < vectors_.count(); ++vector) {
      if (vectors_.bound(vector)) healed.vectors.push_back(vector);
    }
  } else {
    for (unsigned vector : damaged) {
      healed.outcome = vectors_.rebind(vector);
      if (!healed.outcome) break;
      healed.vectors.push_back(vector);
    }
  }
  remember(healed.vectors);
  for (unsigned vector : healed.vectors) restored(vector);
  return healed;
}

void Restore::restored(unsigned vector) {
  ++counts_[vector];
  ++count_;
}

}  // namespace passthru
