// SPDX-License-Identifier: MIT
// The work of the driving thread: it polls, delivers in batches, holds back signals that come too
// fast, and arms sources again that the kernel stopped polling.
#include <algorithm>
#include <cerrno>

#include "base/thread.h"
#include "base/timer.h"
#include "irq/forward/forwarder.h"

namespace passthru {
namespace {

constexpr unsigned kBatch = 64;
// run_once returns after this many deliveries, even if others are due: the calling loop has other
// work.
constexpr unsigned kMaxAtOnce = 1024;
// The pause after a failure of the kernel.
constexpr std::chrono::milliseconds kPause{10};

// Tokens of the forwarder's own descriptors. A source's token has its index in the lower half.
constexpr uint64_t kWakeToken = 0xffff'fffe;
constexpr uint64_t kTimerToken = 0xffff'fffd;

}  // namespace

bool Forwarder::begin_driving() {
  std::thread::id nobody{};
  const auto self = std::this_thread::get_id();
  if (!driver_.compare_exchange_strong(nobody, self)) return nobody == self;
  poller_->arm(wake_.get(), kWakeToken);
  poller_->arm(timer_.get(), kTimerToken);
  return true;
}

Result<void> Forwarder::start_thread() {
  if (thread_.joinable() || driver_.load() != std::thread::id{}) {
    return fail(EBUSY, "start the forwarder's thread", "a thread drives the forwarder already");
  }
  thread_ =
      PASSTHRU_TRY(start_thread_signals_blocked("start the forwarder's thread", [this] { run(); }));
  return {};
}

void Forwarder::run() {
  if (!begin_driving()) return;
  while (!stop_.load()) {
    if (!round(EdgePoller::Wait::UntilOne)) std::this_thread::sleep_for(kPause);
  }
}

Result<void> Forwarder::bind_to_this_thread() {
  if (thread_.joinable() || !begin_driving()) {
    return fail(EBUSY, "drive the forwarder", "another thread drives it already");
  }
  return {};
}

Result<int> Forwarder::poll_fd() {
  if (!thread_.joinable() && driver_.load() == std::thread::id{} && !poller_->wakes_polls()) {
    poller_ = PASSTHRU_TRY(make_epoll_poller());
    backend_.store(poller_->name());
  }
  PASSTHRU_TRY(bind_to_this_thread());
  if (!poller_->wakes_polls()) {
    return fail(EBUSY, "drive the forwarder from a loop",
                "this thread already drives it with io_uring");
  }
  PASSTHRU_TRY(run_once());
  return poller_->fd();
}

Result<unsigned> Forwarder::run_once() {
  if (driver_.load() != std::this_thread::get_id()) {
    return fail(EPERM, "drive the forwarder", "this thread is not the driving thread");
  }
  unsigned sum = 0;
  size_t said = 0;
  do {
    sum += PASSTHRU_TRY(round(EdgePoller::Wait::No));
    said += said_;
  } while (said_ == kBatch && said < kMaxAtOnce);
  if (said_ == kBatch)
    wake();  // for a loop that polls: the poller may know of fewer events than there are
  return sum;
}

// Commands first: their requests to the poller go out with the call that collects.
Result<unsigned> Forwarder::round(EdgePoller::Wait wait) {
  take_commands();
  std::array<SourceEvent, kBatch> fired{};
  const auto count = poller_->collect(fired, wait);
  system_calls_.set(poller_->calls());
  if (!count) {
    failures_.add();
    return tl::unexpected(count.error());
  }
  said_ = *count;
  batch_.fetch_add(1);
  auto sum = dispatch(std::span(fired).first(*count));
  batch_.fetch_add(1);
  batch_.notify_all();
  return sum;
}

void Forwarder::take_commands() {
  {
    MutexLock lock(mutex_);
    taken_.swap(commands_);
  }
  for (const Command& command : taken_) {
    Slot& slot = slots_[command.index];
    if (command.arm) {
      arm(command.index);
    } else if (slot.armed) {
      slot.ending = true;
      poller_->disarm(slot.source->fd(), command.index);
    } else {
      release(command.index);
    }
  }
  taken_.clear();
}

Result<unsigned> Forwarder::dispatch(std::span<const SourceEvent> fired) {
  const auto seen = Clock::now();
  unsigned sum = 0;
  int own_error = 0;
  for (const SourceEvent& each : fired) {
    if (each.token == kWakeToken || each.token == kTimerToken) {
      const bool timer = each.token == kTimerToken;
      if (each.ended) poller_->arm(timer ? timer_.get() : wake_.get(), each.token);
      if (each.error != 0) own_error = each.error;
      if (timer) sum += on_time();
      continue;
    }
    const auto index = static_cast<uint32_t>(each.token);
    if (each.signalled) sum += signalled(index, seen);
    if (each.ended) ended(index, each.error);
  }
  all_delivered_.add(sum);
  if (own_error == 0) return sum;
  failures_.add();
  return fail(own_error, "poll the forwarder's own eventfd and timer");
}

// After `remove`, signals stay in the counter for the owner of the eventfd.
unsigned Forwarder::signalled(uint32_t index, Clock::time_point seen) {
  Slot& slot = slots_[index];
  if (!slot.live.load()) return 0;
  const auto min_interval = slot.source->min_interval();
  if (min_interval == min_interval.zero()) return hand_over(slot, seen);
  const auto now = Clock::now();
  if (!slot.is_held && now >= slot.next_delivery) {
    slot.next_delivery = now + min_interval;
    return hand_over(slot, seen);
  }
  slot.held.add();
  slot.is_held = true;
  schedule(index, slot.next_delivery);
  return 0;
}

unsigned Forwarder::hand_over(Slot& slot, Clock::time_point seen) {
  if (!slot.source->deliver(slot.counters)) return 0;
  if (LatencyHistogram* observer = slot.observer.load(); observer != nullptr) {
    const auto now = Clock::now();
    observer->add(now - seen);
    trace_.add({.time = now, .label = slot.source->label(), .latency = now - seen});
  }
  return 1;
}

void Forwarder::arm(uint32_t index) {
  slots_[index].armed = true;
  poller_->arm(slots_[index].source->fd(), index);
}

void Forwarder::ended(uint32_t index, int error) {
  Slot& slot = slots_[index];
  slot.armed = false;
  if (slot.ending) {
    return release(index);
  }
  if (!slot.live.load()) return;  // released by its command
  slot.rearmed.add();
  all_rearmed_.add();
  if (error == 0) return arm(index);
  failures_.add();
  schedule(index, Clock::now() + kPause);
}

void Forwarder::release(uint32_t index) {
  Slot& slot = slots_[index];
  if (slot.wake_at) later_.erase({*slot.wake_at, index});
  slot.wake_at.reset();
  slot.ending = false;
  slot.is_held = false;
  for (Counter* each :
       {&slot.counters.delivered, &slot.counters.sink_full, &slot.counters.sink_failed,
        &slot.counters.spurious, &slot.held, &slot.rearmed}) {
    each->set(0);
  }
  // The end of a sink's captures may call this object, so it must come after the lock.
  std::optional<ForwardSource> source;
  MutexLock lock(mutex_);
  source.swap(slot.source);
  slot.observer.store(nullptr);
  slot.histogram.reset();
  free_.push_back(index);
}

// Each source has one entry in later_: the first time when it needs work.
void Forwarder::schedule(uint32_t index, Clock::time_point when) {
  Slot& slot = slots_[index];
  if (slot.wake_at && *slot.wake_at <= when) return;
  if (slot.wake_at) later_.erase({*slot.wake_at, index});
  slot.wake_at = when;
  later_.insert({when, index});
  program_timer();
}

unsigned Forwarder::on_time() {
  const auto now = Clock::now();
  unsigned sum = 0;
  while (!later_.empty() && later_.begin()->first <= now) {
    const uint32_t index = later_.begin()->second;
    later_.erase(later_.begin());
    Slot& slot = slots_[index];
    slot.wake_at.reset();
    if (!slot.live.load()) continue;
    if (!slot.armed) arm(index);
    if (!slot.is_held) continue;
    if (slot.next_delivery > now) {
      schedule(index, slot.next_delivery);
      continue;
    }
    slot.is_held = false;
    slot.next_delivery = now + slot.source->min_interval();
    sum += hand_over(slot, now);
  }
  timer_at_ = {};
  program_timer();
  return sum;
}

void Forwarder::program_timer() {
  if (later_.empty() || later_.begin()->first == timer_at_) return;
  timer_at_ = later_.begin()->first;
  set_timer(timer_, timer_at_);
}

}  // namespace passthru
