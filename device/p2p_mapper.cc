// SPDX-License-Identifier: MIT
#include "device/p2p_mapper.h"

#include <algorithm>
#include <cerrno>
#include <iterator>
#include <utility>

#include "base/thread.h"

namespace passthru {
namespace {

bool overlap(const GuestMapping& a, const GuestMapping& b) {
  return a.address - b.address < b.size || b.address - a.address < a.size;
}

}  // namespace

P2pMapper::~P2pMapper() {
  std::thread thread;
  {
    MutexLock lock(p2p_mutex_);
    shown_.clear();
    ending_ = true;
    thread = std::move(thread_);
  }
  changed_.notify_all();
  if (thread.joinable()) thread.join();
}

Result<void> P2pMapper::use(P2p choice) {
  MutexLock lock(p2p_mutex_);
  if (had_device_) return fail(EBUSY, "choose peer-to-peer DMA", "a device is or was open");
  choice_ = choice;
  return {};
}

void P2pMapper::add_device() {
  {
    MutexLock lock(p2p_mutex_);
    had_device_ = true;
    ++devices_;
    ++changes_;
    if (choice_ != P2p::Off && !thread_.joinable()) start_thread();
  }
  changed_.notify_all();
  tell_refusal();
}

// Here, and not when a vCPU maps the first part: a VMM may forbid its vCPUs to create threads.
void P2pMapper::start_thread() {
  auto started =
      start_thread_signals_blocked("start the thread that maps BARs for DMA", [this] { work(); });
  if (started) {
    thread_ = std::move(*started);
  } else {
    note_refusal(std::move(started).error());
  }
}

void P2pMapper::remove_device() {
  MutexLock lock(p2p_mutex_);
  --devices_;
}

Result<void> P2pMapper::map(const GuestMapping& mapping) {
  PASSTHRU_TRY(guest_.map(mapping));
  show(mapping);
  return {};
}

Result<void> P2pMapper::unmap(const GuestMapping& mapping) {
  hide(mapping);
  return guest_.unmap(mapping);
}

void P2pMapper::show(const GuestMapping& part) {
  {
    MutexLock lock(p2p_mutex_);
    shown_.insert(part);
    ++changes_;
  }
  changed_.notify_all();
}

void P2pMapper::hide(const GuestMapping& part) {
  {
    MutexLock lock(p2p_mutex_);
    shown_.erase(part);
    refused_parts_.erase(part);
    ++changes_;
  }
  changed_.notify_all();
}

void P2pMapper::wait_for_unmapped() {
  MutexLock lock(p2p_mutex_);
  const uint64_t wanted = changes_;
  while (unmapped_ < wanted && !stale().empty()) changed_.wait(p2p_mutex_);
}

bool P2pMapper::wait_for_mapped() {
  const auto end = std::chrono::steady_clock::now() + kMaxWait;
  MutexLock lock(p2p_mutex_);
  if (!thread_.joinable()) return true;
  const uint64_t wanted = changes_;
  while (done_ < wanted) {
    if (changed_.wait_until(p2p_mutex_, end) == std::cv_status::timeout) return done_ >= wanted;
  }
  return true;
}

void P2pMapper::tell_refusal() {
  std::optional<Error> refusal;
  {
    MutexLock lock(p2p_mutex_);
    refusal = std::exchange(untold_, std::nullopt);
  }
  if (refusal) refused_(*refusal);
}

void P2pMapper::note_refusal(Error error) {
  // A device alone rarely reaches its own BAR by DMA, so the VMM needs no report.
  const bool asked_for = choice_ == P2p::On || devices_ > 1;
  if (asked_for && !std::exchange(noted_, true)) untold_ = std::move(error);
}

bool P2pMapper::is_useful(uint64_t size) const {
  switch (choice_) {
    case P2p::On:
      return true;
    case P2p::Off:
      return false;
    case P2p::Auto:
      break;
  }
  return size <= (devices_ > 1 ? kMaxAuto : kMaxAlone);
}

/// Returns the parts that devices reach, and the guest has no longer.
std::vector<GuestMapping> P2pMapper::stale() const {
  std::vector<GuestMapping> parts;
  std::set_difference(mapped_.begin(), mapped_.end(), shown_.begin(), shown_.end(),
                      std::back_inserter(parts));
  return parts;
}

/// Returns the smallest part that devices should reach, and do not: a small part, which is mapped
/// at once, does not wait for a large part.
std::optional<GuestMapping> P2pMapper::fresh() const {
  std::optional<GuestMapping> smallest;
  for (const GuestMapping& part : shown_) {
    const bool in_the_way =
        std::any_of(mapped_.begin(), mapped_.end(),
                    [&part](const GuestMapping& each) { return overlap(each, part); });
    if (in_the_way || !is_useful(part.size) || refused_parts_.contains(part)) continue;
    if (!smallest || part.size < smallest->size) smallest = part;
  }
  return smallest;
}

void P2pMapper::work() {
  while (const std::optional<Step> step = next_step()) {
    if (step->fresh) {
      map_fresh(*step->fresh);
    } else {
      unmap_stale(*step);
    }
  }
}

// All stale parts are one step, so a guest that goes on moving BARs does not make
// `wait_for_unmapped` wait longer.
std::optional<P2pMapper::Step> P2pMapper::next_step() {
  MutexLock lock(p2p_mutex_);
  for (;;) {
    Step step{.change = changes_, .stale = stale()};
    if (!step.stale.empty()) return step;
    step.fresh = fresh();
    unmapped_ = changes_;
    if (!step.fresh) done_ = changes_;
    changed_.notify_all();
    if (step.fresh) {
      mapped_.insert(*step.fresh);
      return step;
    }
    if (ending_) return std::nullopt;
    changed_.wait(p2p_mutex_);
  }
}

void P2pMapper::unmap_stale(const Step& step) {
  for (const GuestMapping& part : step.stale) dma_.forget(part.address);
  {
    MutexLock lock(p2p_mutex_);
    for (const GuestMapping& part : step.stale) mapped_.erase(part);
    unmapped_ = step.change;
  }
  changed_.notify_all();
}

void P2pMapper::map_fresh(const GuestMapping& part) {
  auto offered = dma_.offer(part.address, std::span(part.memory, part.size));
  if (offered) return;
  {
    MutexLock lock(p2p_mutex_);
    mapped_.erase(part);
    if (shown_.contains(part)) refused_parts_.insert(part);
    note_refusal(std::move(offered).error());
  }
  changed_.notify_all();
}

}  // namespace passthru
