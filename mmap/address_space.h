// SPDX-License-Identifier: MIT
// The address space of a guest (MMIO or ports): the windows of all devices of one VM, the spans
// that the guest reaches directly, and the targets that answer the rest. Readers take no lock. A
// change takes effect as a whole or not at all.
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

/// A part of a window that may be mapped into the guest. `memory` holds the window's bytes [offset,
/// offset + size). Accesses outside every span are trapped.
///
/// Offsets need not be page aligned. Only whole guest pages that are backed by whole host pages are
/// mapped; the rest is trapped. The last span may end beyond its window (a BAR smaller than a page,
/// alone in its page). That page is mapped while no other window is in it.
///
/// The memory must stay valid until `AddressSpace::wait_for_removed`, called after the window was
/// removed, has returned. The mapper may show it to devices until then.
struct WindowSpan {
  uint64_t offset = 0;
  uint64_t size = 0;
  std::byte* memory = nullptr;
};

/// A range of guest addresses that one target answers. A window without a target is opaque (RAM, a
/// VMM's own devices). It hides windows that are added later, and no target answers accesses to it.
struct Window {
  uint64_t base = 0;
  uint64_t size = 0;                       ///< bytes, not 0
  std::shared_ptr<AccessTarget> target{};  ///< kept alive until the last access to it has ended
  std::vector<WindowSpan> spans{};         ///< ascending, disjoint, beginning within the window
};

using WindowId = uint64_t;

/// The windows that one commit removes and adds. `remove` names windows that were added before.
struct AddressSpaceChange {
  std::vector<WindowId> remove{};
  std::vector<Window> add{};
};

/// One address space (MMIO or ports) of a VM, shared by all its devices.
///
/// Windows may overlap. The window that was added first answers and is mapped. The covered part of
/// the later window appears when the first window is removed.
///
/// Thread-safe. `read` and `write` never wait for a change. They see either the whole change or
/// nothing of it.
class AddressSpace {
 public:
  /// How many changes may wait for readers before `commit` waits too.
  static constexpr uint64_t kMaxRetired = 256;

  /// `limit` is the first address beyond the space (1 << 16 for ports). If `mapper` is null,
  /// nothing is mapped or announced; otherwise it must outlive this object. A `page_size` of 0
  /// selects the host's. Nothing is mapped in a space of ports.
  AddressSpace(uint64_t limit, GuestMapper* mapper, uint64_t page_size = 0,
               GuestSpace space = GuestSpace::Memory);
  /// Unmaps everything from the guest, and takes all announcements back. No access may be under
  /// way, and no vCPU may run.
  ~AddressSpace();
  AddressSpace(const AddressSpace&) = delete;
  AddressSpace& operator=(const AddressSpace&) = delete;

  /// Forwards an access to the targets at `address`. Bytes without a target read as all ones.
  /// Returns false if no byte has a target.
  bool read(uint64_t address, std::span<std::byte> data) const;
  bool write(uint64_t address, std::span<const std::byte> data) const;

  /// Removes and adds windows in one step. Returns the ids of the added windows, in order.
  ///
  /// Never waits for an access to end, so a target may call it from its `read` or `write`. Waits
  /// some ten milliseconds if kMaxRetired earlier changes are not freed yet.
  ///
  /// The mapper learns each window with a target, from before the window answers until it is
  /// removed (GuestMapper::trap).
  ///
  /// On error every mapping, announcement and window is as before. A change that only removes known
  /// windows never fails: if the mapper refuses to map a part that the change uncovers, the part is
  /// trapped. If the mapper refuses to announce a window again after a failed change, each later
  /// change tries again.
  ///
  /// If the mapper cannot remove a mapping, the mapping's target stays alive. So no other memory
  /// gets the address that the guest may still reach. Each later change, and `wait_for_readers`,
  /// tries again to remove the mapping.
  ///
  /// Errors:
  /// - EINVAL: a window has size 0 or ends beyond the limit.
  /// - EINVAL: the spans of a window are out of order, or an id is unknown.
  /// - the errno of the mapper.
  Result<std::vector<WindowId>> commit(AddressSpaceChange change) PASSTHRU_EXCLUDES(change_mutex_);

  /// Waits until every access that began before the call has ended, and until the windows that were
  /// removed before it are freed. Does not wait for mappings that the mapper still cannot remove.
  /// Takes some ten milliseconds. Must not be called from inside an access.
  void wait_for_readers() PASSTHRU_EXCLUDES(change_mutex_);
  /// Waits as `wait_for_readers`, but only for windows that were removed before. Accesses to other
  /// windows may go on.
  void wait_for_removed() PASSTHRU_EXCLUDES(change_mutex_);

  [[nodiscard]] uint64_t limit() const { return limit_; }

  /// Returns the ranges that the guest reaches directly now, in ascending order.
  [[nodiscard]] std::vector<GuestMapping> mappings() const PASSTHRU_EXCLUDES(change_mutex_);

 private:
  class HeldWindow;
  class Snapshot;
  class ReadSection;
  struct Entry {
    WindowId id;
    std::shared_ptr<const HeldWindow> held;
    bool trapped = false;  ///< the mapper knows the window
  };
  using Entries = std::vector<Entry>;
  using Held = std::vector<std::shared_ptr<const HeldWindow>>;
  using Targets = std::vector<std::shared_ptr<AccessTarget>>;
  /// A mapping that the mapper could not remove, and the target that its memory belongs to.
  struct Leftover {
    GuestMapping mapping;
    std::shared_ptr<AccessTarget> target;
  };

  Result<void> check(const Window& window) const;
  std::vector<GuestMapping> wanted_mappings(const Entries& entries, const Snapshot& snapshot) const;
  /// `wanted` are the mappings of `entries`.
  Result<void> remap(const Entries& entries, const std::vector<GuestMapping>& wanted, bool must_map)
      PASSTHRU_REQUIRES(change_mutex_);
  void put_back(const Entries& entries, const std::vector<GuestMapping>& unmapped,
                const std::vector<GuestMapping>& mapped) PASSTHRU_REQUIRES(change_mutex_);
  void unmap(const Entries& entries, const GuestMapping& mapping) PASSTHRU_REQUIRES(change_mutex_);
  Targets unmap_leftovers() PASSTHRU_REQUIRES(change_mutex_);
  // address_space_traps.cc
  Result<void> trap(Entry& entry) PASSTHRU_REQUIRES(change_mutex_);
  void untrap(Entry& entry) PASSTHRU_REQUIRES(change_mutex_);
  /// `removed` are ids in ascending order, `entries` the windows after the change.
  Result<void> retrap(const std::vector<WindowId>& removed, Entries& entries)
      PASSTHRU_REQUIRES(change_mutex_);
  void undo_traps(Entries& entries) PASSTHRU_REQUIRES(change_mutex_);
  void trap_again() PASSTHRU_REQUIRES(change_mutex_);
  void publish(std::unique_ptr<const Snapshot> snapshot, Held removed)
      PASSTHRU_REQUIRES(change_mutex_);
  template <class Bytes, class Visit>
  bool for_each_part(uint64_t address, Bytes data, Visit visit) const;

  const uint64_t limit_;
  GuestMapper* const mapper_;
  const uint64_t page_size_;
  const GuestSpace space_;
  mutable Mutex change_mutex_;                          ///< serialises commits
  Entries entries_ PASSTHRU_GUARDED_BY(change_mutex_);  ///< in the order they were added
  std::vector<GuestMapping> mapped_ PASSTHRU_GUARDED_BY(change_mutex_);  ///< ascending
  /// Wanted mappings that the mapper refused.
  std::vector<GuestMapping> refused_ PASSTHRU_GUARDED_BY(change_mutex_);
  std::vector<Leftover> leftovers_ PASSTHRU_GUARDED_BY(change_mutex_);
  WindowId next_id_ PASSTHRU_GUARDED_BY(change_mutex_) = 1;
  /// A flag for each removed window. It is true when no access holds the window any more.
  std::vector<std::shared_ptr<std::atomic<bool>>> leaving_ PASSTHRU_GUARDED_BY(change_mutex_);
  /// Snapshots replaced so far. `reclaimed_` counts those that are freed.
  uint64_t retired_ PASSTHRU_GUARDED_BY(change_mutex_) = 0;
  const std::shared_ptr<std::atomic<uint64_t>> reclaimed_ =
      std::make_shared<std::atomic<uint64_t>>(0);
  /// Commits replace it. Readers load it within a ReadSection.
  std::atomic<const Snapshot*> snapshot_;
};

}  // namespace passthru
