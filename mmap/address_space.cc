// SPDX-License-Identifier: MIT
#include "mmap/address_space.h"

#include <unistd.h>

#include <algorithm>
#include <iterator>
#include <utility>

#include "mmap/address_space_snapshot.h"

namespace passthru {

AddressSpace::AddressSpace(uint64_t limit, GuestMapper* mapper, uint64_t page_size,
                           GuestSpace space)
    : limit_(limit),
      mapper_(mapper),
      page_size_(page_size != 0 ? page_size : static_cast<uint64_t>(sysconf(_SC_PAGESIZE))),
      space_(space),
      snapshot_(new Snapshot({})) {}

AddressSpace::~AddressSpace() {
  {
    MutexLock lock(change_mutex_);
    for (const GuestMapping& mapping : mapped_) unmap(entries_, mapping);
    for (Entry& entry : entries_) untrap(entry);
  }
  wait_for_removed();
  delete snapshot_.load(std::memory_order_relaxed);
}

template <class Bytes, class Visit>
bool AddressSpace::for_each_part(uint64_t address, Bytes data, Visit visit) const {
  bool found = false;
  while (!data.empty()) {
    const Snapshot::Part part = ReadSection(*this)->find(address, data.size());
    visit(part, data.first(part.size));
    found |= part.target != nullptr;
    data = data.subspan(part.size);
    address += part.size;  // wraps only at the end: windows end below 2^64
  }
  return found;
}

bool AddressSpace::read(uint64_t address, std::span<std::byte> data) const {
  return for_each_part(address, data, [](const Snapshot::Part& part, std::span<std::byte> bytes) {
    if (part.target != nullptr) {
      part.target->read(part.offset, bytes);
    } else {
      std::fill(bytes.begin(), bytes.end(), std::byte{0xff});
    }
  });
}

bool AddressSpace::write(uint64_t address, std::span<const std::byte> data) const {
  return for_each_part(address, data,
                       [](const Snapshot::Part& part, std::span<const std::byte> bytes) {
                         if (part.target != nullptr) part.target->write(part.offset, bytes);
                       });
}

Result<void> AddressSpace::check(const Window& window) const {
  constexpr const char* kOperation = "add a window to the guest's address space";
  if (window.size == 0) return fail(EINVAL, kOperation, "the window's size is 0");
  if (window.base >= limit_ || window.size > limit_ - window.base) {
    return fail(EINVAL, kOperation, "the window ends beyond the address space");
  }
  uint64_t free = 0;  // where the next span may begin
  for (const WindowSpan& span : window.spans) {
    if (span.size == 0 || span.offset < free || span.offset >= window.size ||
        span.size > UINT64_MAX - span.offset) {
      return fail(
          EINVAL, kOperation,
          "the window's spans overlap, are not in ascending order, or begin beyond its end");
    }
    free = span.offset + span.size;
  }
  return {};
}

Result<std::vector<WindowId>> AddressSpace::commit(AddressSpaceChange change) {
  for (const Window& window : change.add) PASSTHRU_TRY(check(window));
  Targets freed;  // destroyed after the lock is released
  MutexLock lock(change_mutex_);

  Entries entries;
  Held removed;
  entries.reserve(entries_.size() + change.add.size());
  std::sort(change.remove.begin(), change.remove.end());
  for (const Entry& entry : entries_) {
    if (std::binary_search(change.remove.begin(), change.remove.end(), entry.id)) {
      removed.push_back(entry.held);
    } else {
      entries.push_back(entry);
    }
  }
  if (removed.size() != change.remove.size()) {
    return fail(EINVAL, "remove a window from the guest's address space", "no window has this id");
  }

  const bool adds = !change.add.empty();
  std::vector<WindowId> ids;
  for (Window& window : change.add) {
    ids.push_back(next_id_ + ids.size());
    entries.push_back({ids.back(), std::make_shared<const HeldWindow>(std::move(window))});
  }

  auto snapshot = std::make_unique<Snapshot>(entries);
  freed = unmap_leftovers();
  PASSTHRU_TRY(retrap(change.remove, entries));
  if (auto mapped = remap(entries, wanted_mappings(entries, *snapshot), adds); !mapped) {
    undo_traps(entries);
    return tl::unexpected(std::move(mapped).error());
  }
  next_id_ += ids.size();
  entries_ = std::move(entries);
  trap_again();
  publish(std::move(snapshot), std::move(removed));
  return ids;
}

// Readers only look up an address, so retired snapshots are freed soon. The limit keeps a guest
// that moves a BAR again and again from using up memory.
void AddressSpace::publish(std::unique_ptr<const Snapshot> snapshot, Held removed) {
  std::erase_if(leaving_, [](const auto& gone) { return gone->load(std::memory_order_acquire); });
  for (const auto& held : removed) leaving_.push_back(held->gone());
  Snapshot::retire(snapshot_.exchange(snapshot.release(), std::memory_order_acq_rel),
                   std::move(removed), reclaimed_);
  ++retired_;
  for (uint64_t done = 0;
       (done = reclaimed_->load(std::memory_order_acquire)) + kMaxRetired < retired_;) {
    reclaimed_->wait(done, std::memory_order_acquire);
  }
}

std::vector<GuestMapping> AddressSpace::wanted_mappings(const Entries& entries,
                                                        const Snapshot& snapshot) const {
  std::vector<GuestMapping> wanted;
  if (mapper_ == nullptr || space_ == GuestSpace::Ports) return wanted;
  const std::vector<FlatSegment>& segments = snapshot.segments();
  for (size_t i = 0; i < segments.size(); ++i) {
    const Window& window = entries[segments[i].owner].held->window();
    const uint64_t begin = segments[i].base - window.base;
    // Only the spans that the segment shows: avoids a scan of the whole window for each of its
    // parts.
    auto span = std::partition_point(
        window.spans.begin(), window.spans.end(),
        [=](const WindowSpan& each) { return each.offset + each.size <= begin; });
    for (; span != window.spans.end() && span->offset < begin + segments[i].size; ++span) {
      const uint64_t base = window.base + span->offset;
      const FlatMemory memory{base, std::min(span->size, limit_ - base), span->memory};
      append_mappable(segments, i, window.base + window.size, memory, page_size_, limit_, wanted);
    }
  }
  return wanted;
}

/// Changes the guest's mappings to `wanted`. Tries mappings again that the mapper refused before,
/// but does not fail the change if the mapper refuses them again.
Result<void> AddressSpace::remap(const Entries& entries, const std::vector<GuestMapping>& wanted,
                                 bool must_map) {
  std::vector<GuestMapping> gone;
  std::vector<GuestMapping> fresh;
  std::set_difference(mapped_.begin(), mapped_.end(), wanted.begin(), wanted.end(),
                      std::back_inserter(gone));
  std::set_difference(wanted.begin(), wanted.end(), mapped_.begin(), mapped_.end(),
                      std::back_inserter(fresh));

  for (const GuestMapping& mapping : gone) unmap(entries_, mapping);
  std::vector<GuestMapping> done;
  std::vector<GuestMapping> refused;
  for (const GuestMapping& mapping : fresh) {
    if (Result<void> mapped = mapper_->map(mapping); mapped) {
      done.push_back(mapping);
    } else if (!must_map || std::binary_search(refused_.begin(), refused_.end(), mapping)) {
      refused.push_back(mapping);
    } else {
      put_back(entries, gone, done);
      return mapped;
    }
  }
  mapped_.clear();
  std::set_difference(wanted.begin(), wanted.end(), refused.begin(), refused.end(),
                      std::back_inserter(mapped_));
  refused_ = std::move(refused);
  return {};
}

/// Undoes a part of `remap`, last step first. If the mapper now refuses a mapping, it is trapped.
void AddressSpace::put_back(const Entries& entries, const std::vector<GuestMapping>& unmapped,
                            const std::vector<GuestMapping>& mapped) {
  for (size_t i = mapped.size(); i-- > 0;) unmap(entries, mapped[i]);
  for (size_t i = unmapped.size(); i-- > 0;) {
    if (mapper_->map(unmapped[i])) continue;
    std::erase(mapped_, unmapped[i]);
    refused_.insert(std::upper_bound(refused_.begin(), refused_.end(), unmapped[i]), unmapped[i]);
  }
}

/// Removes a mapping whose memory belongs to one of `entries`. If the mapper fails, the mapping
/// becomes a leftover.
void AddressSpace::unmap(const Entries& entries, const GuestMapping& mapping) {
  if (mapper_->unmap(mapping)) return;
  const auto memory = reinterpret_cast<uintptr_t>(mapping.memory);
  const auto owner = std::find_if(entries.begin(), entries.end(), [=](const Entry& entry) {
    const std::vector<WindowSpan>& spans = entry.held->window().spans;
    return std::any_of(spans.begin(), spans.end(), [=](const WindowSpan& span) {
      return memory - reinterpret_cast<uintptr_t>(span.memory) < span.size;
    });
  });
  leftovers_.push_back({mapping, owner != entries.end() ? owner->held->window().target : nullptr});
}

/// Tries again to remove the leftovers. Returns the targets whose memory the guest no longer
/// reaches: destroy them without the lock.
AddressSpace::Targets AddressSpace::unmap_leftovers() {
  Targets freed;
  std::erase_if(leftovers_, [&](const Leftover& leftover) {
    if (!mapper_->unmap(leftover.mapping)) return false;
    freed.push_back(leftover.target);
    return true;
  });
  return freed;
}

// Accesses that begin from now on hold other windows than earlier accesses.
void AddressSpace::wait_for_readers() {
  {
    MutexLock lock(change_mutex_);
    Held before;
    for (Entry& entry : entries_) {
      before.push_back(
          std::exchange(entry.held, std::make_shared<const HeldWindow>(entry.held->window())));
    }
    publish(std::make_unique<const Snapshot>(entries_), std::move(before));
  }
  wait_for_removed();
}

// A thread of liburcu frees a snapshot after its last search, and then its windows. We do not use
// urcu_bp_barrier: it also waits for other spaces and other libraries.
void AddressSpace::wait_for_removed() {
  uint64_t retired = 0;
  std::vector<std::shared_ptr<std::atomic<bool>>> leaving;
  Targets freed;
  {
    MutexLock lock(change_mutex_);
    freed = unmap_leftovers();
    retired = retired_;
    leaving = leaving_;
  }
  for (uint64_t done = 0; (done = reclaimed_->load(std::memory_order_acquire)) < retired;) {
    reclaimed_->wait(done, std::memory_order_acquire);
  }
  for (const auto& gone : leaving) gone->wait(false, std::memory_order_acquire);
  if (mapper_ != nullptr) mapper_->wait_for_unmapped();
}

std::vector<GuestMapping> AddressSpace::mappings() const {
  MutexLock lock(change_mutex_);
  return mapped_;
}

}  // namespace passthru
