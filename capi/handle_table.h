// SPDX-License-Identifier: MIT
// The handles of the C interface: numbers in the shape of pointers. A handle that does not exist
// any more is recognised, so a late call fails instead of touching freed memory.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "base/mutex.h"

namespace passthru {

/// Objects by handle. `Handle` is the opaque struct of the C interface; it is never dereferenced.
/// `kTag` (1 to 7) tells the handles of one table from those of another. Thread-safe; looking up a
/// handle takes no lock.
template <class Object, class Handle, unsigned kTag>
class HandleTable {
 public:
  static constexpr unsigned kIndexBits = 12;
  static constexpr size_t kMaxHandles = size_t{1} << kIndexBits;

  /// A use of an object. While it exists, `remove` waits.
  class Use {
   public:
    Use() = default;
    explicit Use(HandleTable& table, size_t index) : table_(&table), index_(index) {}
    Use(Use&& other) noexcept
        : table_(std::exchange(other.table_, nullptr)), index_(other.index_) {}
    Use& operator=(Use&& other) noexcept {
      std::swap(table_, other.table_);
      std::swap(index_, other.index_);
      return *this;
    }
    Use(const Use&) = delete;
    Use& operator=(const Use&) = delete;
    ~Use() {
      if (table_ != nullptr) table_->release(index_);
    }
    explicit operator bool() const { return table_ != nullptr; }
    Object& operator*() const { return *table_->slots_[index_].object; }
    Object* operator->() const { return &**this; }

   private:
    HandleTable* table_ = nullptr;
    size_t index_ = 0;
  };

  /// Adds an object and returns its handle, or null if there are kMaxHandles objects.
  Handle* add(std::unique_ptr<Object> object) PASSTHRU_EXCLUDES(free_mutex_) {
    const std::optional<size_t> index = take_free();
    if (!index) return nullptr;
    Slot& slot = slots_[*index];
    slot.object = std::move(object);
    const uint64_t generation = slot.state.load(std::memory_order_relaxed) / kGeneration;
    slot.state.store(generation * kGeneration | kLive, std::memory_order_release);
    return to_handle(generation, *index);
  }

  /// Returns a use of the object, or an empty use if the handle does not exist.
  Use find(const Handle* handle) {
    const auto place = parse(handle);
    if (!place) return {};
    std::atomic<uint64_t>& state = slots_[place->index].state;
    uint64_t now = state.load(std::memory_order_acquire);
    do {
      if (!is_live(now, place->generation)) return {};
    } while (!state.compare_exchange_weak(now, now + 1, std::memory_order_acq_rel));
    return Use(*this, place->index);
  }

  /// Removes a handle. Waits until no use of it is left, then returns its object, or null if the
  /// handle does not exist. The calling thread must not have a use of it.
  std::unique_ptr<Object> remove(const Handle* handle) PASSTHRU_EXCLUDES(free_mutex_) {
    const auto place = parse(handle);
    if (!place) return nullptr;
    Slot& slot = slots_[place->index];
    uint64_t now = slot.state.load(std::memory_order_acquire);
    do {
      if (!is_live(now, place->generation)) return nullptr;
    } while (!slot.state.compare_exchange_weak(now, now & ~kLive, std::memory_order_acq_rel));
    now &= ~kLive;
    while (now % kLive != 0) {
      slot.state.wait(now, std::memory_order_acquire);
      now = slot.state.load(std::memory_order_acquire);
    }
    std::unique_ptr<Object> object = std::move(slot.object);
    slot.state.store((place->generation + 1) * kGeneration, std::memory_order_release);
    MutexLock lock(free_mutex_);
    free_.push_back(place->index);
    return object;
  }

 private:
  // A slot's state: its generation, whether its handle is live, and its number of uses.
  static constexpr uint64_t kLive = uint64_t{1} << 23;
  static constexpr uint64_t kGeneration = uint64_t{1} << 24;
  struct Slot {
    std::atomic<uint64_t> state{0};
    std::unique_ptr<Object> object{};  ///< written only while the slot is neither live nor used
  };
  struct Place {
    uint64_t generation;
    size_t index;
  };

  static bool is_live(uint64_t state, uint64_t generation) {
    return (state & kLive) != 0 && state / kGeneration == generation;
  }
  // A handle is odd, so it is never the address of an object.
  static Handle* to_handle(uint64_t generation, size_t index) {
    const uint64_t number = (generation << kIndexBits | index) << 4 | kTag << 1 | 1;
    // NOLINTNEXTLINE(performance-no-int-to-ptr): a handle points to no object
    return reinterpret_cast<Handle*>(static_cast<uintptr_t>(number));
  }
  static std::optional<Place> parse(const Handle* handle) {
    const uint64_t number = reinterpret_cast<uintptr_t>(handle);
    if ((number & 0xF) != (kTag << 1 | 1)) return std::nullopt;
    return Place{number >> 4 >> kIndexBits, number >> 4 & (kMaxHandles - 1)};
  }

  std::optional<size_t> take_free() PASSTHRU_EXCLUDES(free_mutex_) {
    MutexLock lock(free_mutex_);
    if (free_.empty()) {
      if (used_ == kMaxHandles) return std::nullopt;
      return used_++;
    }
    const size_t index = free_.back();
    free_.pop_back();
    return index;
  }
  void release(size_t index) {
    std::atomic<uint64_t>& state = slots_[index].state;
    const uint64_t before = state.fetch_sub(1, std::memory_order_acq_rel);
    if (!(before & kLive)) state.notify_all();
  }

  std::array<Slot, kMaxHandles> slots_;
  Mutex free_mutex_;
  std::vector<size_t> free_ PASSTHRU_GUARDED_BY(free_mutex_);
  size_t used_ PASSTHRU_GUARDED_BY(free_mutex_) = 0;  ///< slots that were used at least once
};

}  // namespace passthru
