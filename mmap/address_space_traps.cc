// SPDX-License-Identifier: MIT
// AddressSpace: the announcements of its windows to the VMM.
#include <algorithm>
#include <utility>

#include "mmap/address_space.h"
#include "mmap/held_window.h"

namespace passthru {

/// Announces a window, unless it is announced or has no target.
Result<void> AddressSpace::trap(Entry& entry) {
  const Window& window = entry.held->window();
  if (mapper_ == nullptr || entry.trapped || window.target == nullptr) return {};
  PASSTHRU_TRY(mapper_->trap(space_, window.base, window.size));
  entry.trapped = true;
  return {};
}

/// Takes the announcement back, if there is any.
void AddressSpace::untrap(Entry& entry) {
  if (!std::exchange(entry.trapped, false)) return;
  const Window& window = entry.held->window();
  mapper_->untrap(space_, window.base, window.size);
}

// Old ranges go first: the VMM may refuse a range that overlaps another, and a BAR may move by less
// than its size.
Result<void> AddressSpace::retrap(const std::vector<WindowId>& removed, Entries& entries) {
  for (Entry& entry : entries_) {
    if (std::binary_search(removed.begin(), removed.end(), entry.id)) untrap(entry);
  }
  for (Entry& entry : entries) {
    if (entry.id < next_id_) continue;  // not new
    if (auto trapped = trap(entry); !trapped) {
      undo_traps(entries);
      return trapped;
    }
  }
  return {};
}

/// Undoes `retrap`.
void AddressSpace::undo_traps(Entries& entries) {
  for (Entry& entry : entries) {
    if (entry.id >= next_id_) untrap(entry);
  }
  trap_again();
}

/// Announces the windows that the mapper does not know. This is only so after a failed change.
void AddressSpace::trap_again() {
  for (Entry& entry : entries_) ignore(trap(entry), "each later change tries again");
}

}  // namespace passthru
