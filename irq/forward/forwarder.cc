// SPDX-License-Identifier: MIT
// The calls that any thread may make. They send commands to the driving thread, because a poll
// belongs to the thread that submits it and ends with that thread.
#include "irq/forward/forwarder.h"

#include <fmt/format.h>
#include <sys/eventfd.h>

#include <cerrno>
#include <cstdlib>

#include "base/timer.h"

namespace passthru {
namespace {

uint64_t id_of(uint32_t generation, uint32_t index) {
  return uint64_t{generation} << 32 | index;
}

Result<std::unique_ptr<EdgePoller>> make_poller(unsigned sources, Forwarder::Backend backend) {
  using Backend = Forwarder::Backend;
  if (backend == Backend::Epoll) return make_epoll_poller();
  if (backend == Backend::Uring) return make_uring_poller(sources);
  if (std::getenv("PASSTHRU_NO_URING") != nullptr) return make_epoll_poller();
  auto ring = make_uring_poller(sources);
  return ring ? std::move(ring) : make_epoll_poller();
}

}  // namespace

Result<std::unique_ptr<Forwarder>> Forwarder::make(unsigned max_sources, Backend backend) {
  auto poller = make_poller(max_sources, backend);
  if (!poller) return tl::unexpected(std::move(poller).error());
  return make(max_sources, std::move(*poller));
}

Result<std::unique_ptr<Forwarder>> Forwarder::make(unsigned max_sources,
                                                   std::unique_ptr<EdgePoller> poller) {
  if (max_sources == 0 || max_sources > kMaxSources) {
    return fail(EINVAL, "make a forwarder",
                fmt::format("max_sources is {}, not 1 to {}", max_sources, kMaxSources));
  }
  Fd wake(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!wake) return fail(errno, "eventfd");
  Fd timer = PASSTHRU_TRY(create_timer());
  return std::unique_ptr<Forwarder>(
      new Forwarder(max_sources, std::move(poller), std::move(wake), std::move(timer)));
}

Forwarder::Forwarder(unsigned max_sources, std::unique_ptr<EdgePoller> poller, Fd wake, Fd timer)
    : poller_(std::move(poller)),
      backend_(poller_->name()),
      wake_(std::move(wake)),
      timer_(std::move(timer)),
      slots_(std::make_unique<Slot[]>(max_sources)),
      max_sources_(max_sources) {
  MutexLock lock(mutex_);
  free_.reserve(max_sources);
  // Uses the lowest numbers first, so that few sources lie close together.
  for (uint32_t index = max_sources; index-- > 0;) free_.push_back(index);
}

Forwarder::~Forwarder() {
  if (!thread_.joinable()) return;
  stop_.store(true);
  wake();
  thread_.join();
}

void Forwarder::wake() {
  // The counter is full after 2^64 commands, and still readable then.
  static_cast<void>(::eventfd_write(wake_.get(), 1));
}

Result<SourceId> Forwarder::add(int eventfd, Sink sink, const SourceOptions& options) {
  ForwardSource source = PASSTHRU_TRY(ForwardSource::open(eventfd, std::move(sink), options));
  SourceId id = 0;
  {
    MutexLock lock(mutex_);
    if (free_.empty()) {
      return fail(ENOSPC, "forward an eventfd",
                  fmt::format("the limit is {} sources: {} are in use and {} are being removed",
                              max_sources_, live_, max_sources_ - live_));
    }
    if (source.number() && !numbers_.insert(*source.number()).second) {
      return fail(EEXIST, "forward an eventfd", "the eventfd is a source already");
    }
    const uint32_t index = free_.back();
    free_.pop_back();
    Slot& slot = slots_[index];
    slot.source.emplace(std::move(source));
    ++slot.generation;
    slot.next_delivery = options.not_before;
    if (options.observe) slot.histogram = std::make_unique<LatencyHistogram>();
    slot.observer.store(slot.histogram.get());
    id = id_of(slot.generation, index);
    slot.live.store(true);
    ++live_;
    commands_.push_back({.arm = true, .index = index});
  }
  wake();
  return id;
}

Forwarder::Slot* Forwarder::find(SourceId id) const {
  const auto index = static_cast<uint32_t>(id);
  if (index >= max_sources_) return nullptr;
  Slot& slot = slots_[index];
  return slot.live.load() && slot.generation == id >> 32 ? &slot : nullptr;
}

bool Forwarder::remove(SourceId id) {
  {
    MutexLock lock(mutex_);
    Slot* slot = find(id);
    if (slot == nullptr) return false;
    slot->live.store(false);
    --live_;
    if (slot->source->number()) numbers_.erase(*slot->source->number());
    commands_.push_back({.arm = false, .index = static_cast<uint32_t>(id)});
  }
  wake();
  if (driver_.load() == std::this_thread::get_id()) return true;
  // A batch that began earlier may still be delivering this source.
  const uint64_t batch = batch_.load();
  if (batch % 2 != 0) batch_.wait(batch);
  return true;
}

bool Forwarder::observe(SourceId id, bool on) {
  MutexLock lock(mutex_);
  Slot* slot = find(id);
  if (slot == nullptr) return false;
  if (on && !slot->histogram) slot->histogram = std::make_unique<LatencyHistogram>();
  slot->observer.store(on ? slot->histogram.get() : nullptr);
  return true;
}

std::optional<SourceStats> Forwarder::stats(SourceId id) const {
  MutexLock lock(mutex_);
  const Slot* slot = find(id);
  if (slot == nullptr) return std::nullopt;
  const DeliveryCounters& counters = slot->counters;
  return SourceStats{
      .delivered = counters.delivered.get(),
      .held = slot->held.get(),
      .sink_full = counters.sink_full.get(),
      .sink_failed = counters.sink_failed.get(),
      .spurious = counters.spurious.get(),
      .rearmed = slot->rearmed.get(),
      .latency_log2_ns = slot->histogram ? slot->histogram->read() : LatencyBuckets{},
  };
}

ForwarderStats Forwarder::stats() const {
  MutexLock lock(mutex_);
  return {.sources = max_sources_ - static_cast<unsigned>(free_.size()),
          .delivered = all_delivered_.get(),
          .rearmed = all_rearmed_.get(),
          .system_calls = system_calls_.get(),
          .failures = failures_.get()};
}

}  // namespace passthru
