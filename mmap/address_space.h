// SPDX-License-Identifier: MIT
// Owns where a guest-physical (or port) address lands: the windows of all devices of one VM, which
// of their spans the guest reaches directly, and who answers the rest. Readers take no lock; moves
// are transactions.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "base/mutex.h"
#include "base/result.h"
#include "mmap/access.h"
#include "mmap/guest_mapper.h"

namespace passthru {

/// A part of a window that may be mapped into the guest: `memory` holds the window's bytes
/// [offset, offset + size). What no span covers is trapped. Offsets need not be page aligned: only
/// the whole guest pages whose bytes are whole host pages are mapped, the rest is trapped. The last
/// span may reach beyond its window's end (a BAR smaller than a page, alone in it): its page is
/// mapped while no other window is in it.
struct WindowSpan {
  uint64_t offset = 0;
  uint64_t size = 0;
  std::byte* memory = nullptr;
};

/// A range of guest addresses that one target answers. A window without a target is opaque (RAM, a
/// VMM's own devices): what is added after it does not appear there, and accesses to it find
/// nobody.
struct Window {
  uint64_t base = 0;
  uint64_t size = 0;                       ///< bytes, not 0
  std::shared_ptr<AccessTarget> target{};  ///< kept alive until the last access to it has ended
  std::vector<WindowSpan> spans{};         ///< ascending, disjoint, beginning within the window
};

using WindowId = uint64_t;

/// What changes in one step. Removals name windows that were added before.
struct AddressSpaceChange {
  std::vector<WindowId> remove{};
  std::vector<Window> add{};
};

/// One address space (MMIO or ports) of a VM, shared by all its devices.
///
/// Overlaps are legal: where windows overlap, the one added first answers and is mapped; the
/// covered part of the later one appears when the first goes away. Thread-safe. `read` and `write`
/// never wait for a change and see either all of it or none.
class AddressSpace {
 public:
  /// So many changes may wait for the threads that were looking up an address.
  static constexpr uint64_t kMaxRetired = 256;

  /// `limit`: first address beyond the space (1 << 16 for ports). `mapper` may be null: nothing is
  /// mapped; else it outlives this. `page_size` 0: the host's.
  AddressSpace(uint64_t limit, GuestMapper* mapper, uint64_t page_size = 0);
  /// No access may be under way, and no vCPU may run. Takes what is mapped out of the guest.
  ~AddressSpace();
  AddressSpace(const AddressSpace&) = delete;
  AddressSpace& operator=(const AddressSpace&) = delete;

  /// Lets the target at `address` answer. Bytes that nobody answers read all ones.
  /// Returns false when no byte found a target.
  bool read(uint64_t address, std::span<std::byte> data) const;
  bool write(uint64_t address, std::span<const std::byte> data) const;

  /// Removes and adds windows in one step and returns the ids of the added ones, in order. Never
  /// waits for an access to end, so it may be called from inside a target's `read` or `write`.
  /// Waits for some ten milliseconds where kMaxRetired changes before it are not freed yet.
  /// EINVAL: a window of size 0 or beyond the limit, spans out of order, or an unknown id.
  /// Otherwise the mapper's error. On error every mapping and window is as it was before. A change
  /// that only removes known windows never fails: what it uncovers and the mapper refuses to map is
  /// trapped. The target of a mapping that the mapper cannot take away lives on, so that no other
  /// memory comes to its address while the guest may reach that; each later change, and
  /// `wait_for_readers`, tries again.
  Result<std::vector<WindowId>> commit(AddressSpaceChange change) PASSTHRU_EXCLUDES(change_mutex_);

  /// Returns when every access to this space that began before the call has ended, and what was
  /// removed before it is no longer held, but for what the mapper cannot take away even now. Takes
  /// some ten milliseconds. Never call it from inside an access.
  void wait_for_readers() PASSTHRU_EXCLUDES(change_mutex_);
  /// The same for what was removed before: accesses to other windows may go on.
  void wait_for_removed() PASSTHRU_EXCLUDES(change_mutex_);

  [[nodiscard]] uint64_t limit() const { return limit_; }

  /// What the guest reaches directly now, ascending.
  [[nodiscard]] std::vector<GuestMapping> mappings() const PASSTHRU_EXCLUDES(change_mutex_);

 private:
  class HeldWindow;
  class Snapshot;
  class ReadSection;
  struct Entry {
    WindowId id;
    std::shared_ptr<const HeldWindow> held;
  };
  using Entries = std::vector<Entry>;
  using Held = std::vector<std::shared_ptr<const HeldWindow>>;
  using Targets = std::vector<std::shared_ptr<AccessTarget>>;
  /// What the mapper could not take away, and whose memory it is.
  struct Leftover {
    GuestMapping mapping;
    std::shared_ptr<AccessTarget> target;
  };

  Result<void> check(const Window& window) const;
  std::vector<GuestMapping> wanted_mappings(const Entries& entries, const Snapshot& snapshot) const;
  /// `entries`: of those is what is wanted.
  Result<void> remap(const Entries& entries, const std::vector<GuestMapping>& wanted, bool must_map)
      PASSTHRU_REQUIRES(change_mutex_);
  void put_back(const Entries& entries, const std::vector<GuestMapping>& unmapped,
                const std::vector<GuestMapping>& mapped) PASSTHRU_REQUIRES(change_mutex_);
  void unmap(const Entries& entries, const GuestMapping& mapping) PASSTHRU_REQUIRES(change_mutex_);
  Targets unmap_leftovers() PASSTHRU_REQUIRES(change_mutex_);
  void publish(std::unique_ptr<const Snapshot> snapshot, Held removed)
      PASSTHRU_REQUIRES(change_mutex_);
  template <class Bytes, class Visit>
  bool for_each_part(uint64_t address, Bytes data, Visit visit) const;

  const uint64_t limit_;
  GuestMapper* const mapper_;
  const uint64_t page_size_;
  mutable Mutex change_mutex_;                          ///< serialises commits
  Entries entries_ PASSTHRU_GUARDED_BY(change_mutex_);  ///< in the order they were added
  std::vector<GuestMapping> mapped_ PASSTHRU_GUARDED_BY(change_mutex_);  ///< ascending
  /// Wanted, but the mapper would not.
  std::vector<GuestMapping> refused_ PASSTHRU_GUARDED_BY(change_mutex_);
  std::vector<Leftover> leftovers_ PASSTHRU_GUARDED_BY(change_mutex_);
  WindowId next_id_ PASSTHRU_GUARDED_BY(change_mutex_) = 1;
  /// Of removed windows: true for those that nobody holds any more.
  std::vector<std::shared_ptr<std::atomic<bool>>> leaving_ PASSTHRU_GUARDED_BY(change_mutex_);
  /// Snapshots replaced so far; of those are freed:
  uint64_t retired_ PASSTHRU_GUARDED_BY(change_mutex_) = 0;
  const std::shared_ptr<std::atomic<uint64_t>> reclaimed_ =
      std::make_shared<std::atomic<uint64_t>>(0);
  /// Replaced by commits, read by anybody within a ReadSection.
  std::atomic<const Snapshot*> snapshot_;
};

}  // namespace passthru
