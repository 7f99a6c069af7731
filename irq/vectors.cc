// SPDX-License-Identifier: MIT
// The calls of SET_IRQS: when, and for how many vectors. Vectors are always programmed in ascending
// order, because some devices fail otherwise.
#include "irq/vectors.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <utility>

namespace passthru {

Vectors::Vectors(std::shared_ptr<VfioDevice> device, Irq irq)
    : device_(std::move(device)),
      irq_(irq),
      vectors_(device_->irq(irq).count),
      rebinds_(vectors_.size()),
      writes_(vectors_.size()),
      counted_before_(vectors_.size()),
      counted_(vectors_.size()) {}

Vectors::~Vectors() {
  release();
}

Result<void> Vectors::bind(std::span<const unsigned> wanted) {
  if (wanted.empty()) return {};
  if (wanted.back() >= limit_) {
    auto refused = fail(ENOSPC, "bind vectors",
                        fmt::format("the host has only {} interrupts for this device", limit_));
    refused.value().index = limit_;
    return refused;
  }
  for (unsigned vector : wanted) {
    if (!vectors_[vector].eventfd) {
      vectors_[vector].eventfd =
          PASSTHRU_TRY(device_->kernel().make_eventfd().on(device_->bdf().str()));
    }
  }
  auto mark = [&](State state) {
    for (unsigned vector : wanted) vectors_[vector].state = state;
  };

  mark(State::New);
  const bool grows = allocated_ != 0 && needed() > allocated_ && device_->irq(irq_).noresize;
  const bool enables = grows || allocated_ == 0;
  auto done = grows ? grow() : enables ? enable(needed()) : bind_runs(wanted);
  if (!done) mark(State::Unbound);
  // The kernel did not report a limit, but this vector is beyond it.
  if (!done && grows && done.error().code == ENOSPC && wanted.size() == 1) {
    limit_ = std::min(limit_, wanted.front());
  }
  if (!done && grows && allocated_ == 0) {
    ignore(enable(needed()), "vectors that were bound are then marked lost");
  }
  if (enables && enabled()) ignore(rebind_refused(), "they stay marked lost");
  return done;
}

Result<void> Vectors::enable_index() {
  if (enabled()) return {};
  PASSTHRU_TRY(enable(needed()));
  ignore(rebind_refused(), "they stay marked lost");
  return {};
}

Result<void> Vectors::bind_runs(std::span<const unsigned> wanted) {
  for (size_t at = 0; at < wanted.size();) {
    size_t end = at + 1;
    while (end < wanted.size() && wanted[end] == wanted[end - 1] + 1) ++end;
    auto done = set_irqs(wanted[at], wanted[end - 1] + 1);
    if (!done) {
      // The kernel has unbound this run itself; unbind the runs before it.
      for (size_t undo = 0; undo < at; ++undo) {
        const int none = -1;
        ++set_irqs_calls_;
        ignore(device_->bind_irqs(irq_, wanted[undo], {&none, 1}),
               "undo; the first error is reported");
      }
      return done;
    }
    allocated_ = std::max(allocated_, wanted[end - 1] + 1);
    at = end;
  }
  return {};
}

Result<void> Vectors::grow() {
  const unsigned doubled = std::min({count(), limit_, std::max(needed(), 2 * allocated_)});
  PASSTHRU_TRY(disable());
  return enable_about(doubled);
}

// Retries with the vectors needed, because the host may have fewer than twice as many.
Result<void> Vectors::enable_about(unsigned allocation) {
  auto done = enable(allocation);
  if (!done && done.error().code == ENOSPC && allocation > needed()) return enable(needed());
  return done;
}

Result<void> Vectors::enable(unsigned allocation) {
  auto done = set_irqs(0, allocation);
  down_ = !done;
  const bool inherited = std::exchange(inherited_, false);
  if (!done && inherited) {
    ignore(device_->disable_irqs(irq_), "the first error is reported");
  }
  if (!done) learn_limit(done.error());
  if (!done) return done;
  allocated_ = allocation;
  ++enables_;
  return {};
}

// MSI vectors come in powers of two (PCI 3.0, 6.8.1.3).
void Vectors::learn_limit(Error& error) {
  if (error.code != ENOSPC || !error.index || *error.index == 0) return;
  const auto available = static_cast<unsigned>(*error.index);
  limit_ = std::min(limit_, irq_ == Irq::Msi ? std::bit_floor(available) : available);
  error.index = limit_;
}

// Returns the first error.
Result<void> Vectors::rebind_refused() {
  Result<void> outcome;
  for (const unsigned vector : in_state(State::Refused)) {
    if (auto done = rebind(vector); !done && outcome) outcome = std::move(done);
  }
  return outcome;
}

std::vector<unsigned> Vectors::in_state(State state) const {
  std::vector<unsigned> found;
  for (unsigned vector = 0; vector < count(); ++vector) {
    if (vectors_[vector].state == state) found.push_back(vector);
  }
  return found;
}

// If the call fails, the kernel unbinds all its vectors.
Result<void> Vectors::set_irqs(unsigned start, unsigned end) {
  const std::span vectors = std::span(vectors_).subspan(start, end - start);
  std::vector<int> eventfds;
  eventfds.reserve(vectors.size());
  for (const Vector& vector : vectors) {
    const bool wanted = vector.state != State::Unbound && vector.state != State::Refused;
    eventfds.push_back(wanted ? vector.eventfd.get() : -1);
  }
  // Only when this enables the index: adding or re-binding a vector then needs no read of sysfs.
  auto done = enabled() ? Result<void>{} : device_->check_identity();
  if (done) {
    ++set_irqs_calls_;
    done = device_->bind_irqs(irq_, start, eventfds);
  }
  for (unsigned at = start; at < end; ++at) {
    State& state = vectors_[at].state;
    if (state == State::Unbound || state == State::Refused) continue;
    if (state != State::New) ++rebinds_[at];
    if (done) ++writes_[at];
    state = done ? State::Bound : end - start == 1 ? State::Refused : State::Lost;
  }
  return done;
}

// The kernel keeps the vector allocated until the index is disabled.
Result<void> Vectors::unbind(unsigned vector) {
  const int none = -1;
  ++set_irqs_calls_;
  PASSTHRU_TRY(device_->bind_irqs(irq_, vector, {&none, 1}));
  vectors_[vector].state = State::Unbound;
  return {};
}

Result<void> Vectors::rebind(unsigned vector) {
  if (vectors_[vector].state == State::Refused) vectors_[vector].state = State::Lost;
  return set_irqs(vector, vector + 1);
}

Result<void> Vectors::cycle() {
  if (allocated_ == 0 && !down_) return {};
  const unsigned allocation = std::max(allocated_, needed());
  PASSTHRU_TRY(disable());
  auto done = enable_about(allocation);
  if (done) return rebind_refused();
  // A single vector may be the cause, or the host may have too few vectors at once. So enable the
  // index without vectors, then bind each vector alone.
  const std::vector<unsigned> lost = in_state(State::Lost);
  for (const unsigned vector : lost) vectors_[vector].state = State::Refused;
  if (lost.empty() || !enable(device_->irq(irq_).noresize ? needed() : 1U)) return done;
  return rebind_refused();
}

// Returns how many vectors must be allocated, from 0 on.
unsigned Vectors::needed() const {
  unsigned end = count();
  while (end != 0 && vectors_[end - 1].state == State::Unbound) --end;
  return std::max({1U, std::min(least_, limit_), end});
}

Result<void> Vectors::disable() {
  if (allocated_ == 0) return {};
  // The kernel loses its counts when it frees the vectors.
  std::vector<uint64_t> counted = interrupts();
  ++set_irqs_calls_;
  PASSTHRU_TRY(device_->disable_irqs(irq_));
  counted_before_ = std::move(counted);
  std::fill(counted_.begin(), counted_.end(), 0);
  forgotten_ = std::chrono::steady_clock::now();
  allocated_ = 0;
  return {};
}

void Vectors::disable_all() {
  ignore(disable(), "the index stays enabled; the next caller that switches modes retries");
}

void Vectors::unbind_all() {
  if (allocated_ == 0) return;
  const std::vector<int> none(allocated_, -1);
  ++set_irqs_calls_;
  ignore(device_->bind_irqs(irq_, 0, none), "the next process binds its own eventfds instead");
}

void Vectors::leave() {
  allocated_ = 0;
  release();
}

void Vectors::inherit(unsigned allocated) {
  allocate_at_least(allocated);
  inherited_ = true;
}

void Vectors::release() {
  disable_all();
  for (Vector& vector : vectors_) vector = Vector{};
  down_ = false;
  limit_ = kNoLimit;
}

bool Vectors::drain(unsigned vector) {
  if (!vectors_[vector].eventfd) return false;
  auto count = device_->kernel().drain_eventfd(vectors_[vector].eventfd.get());
  return count && *count != 0;
}

std::vector<unsigned> Vectors::signalled(std::span<const unsigned> vectors) const {
  std::vector<int> eventfds;
  eventfds.reserve(vectors.size());
  for (const unsigned vector : vectors) eventfds.push_back(eventfd(vector));
  std::vector<unsigned> found;
  for (const size_t at :
       device_->kernel().signalled_eventfds(eventfds).value_or(std::vector<size_t>{})) {
    found.push_back(vectors[at]);
  }
  return found;
}

void Vectors::signal(unsigned vector) {
  if (!vectors_[vector].eventfd) return;
  ignore(device_->kernel().signal_eventfd(vectors_[vector].eventfd.get()),
         "fails only if the counter is full: the eventfd is signalled already");
}

std::vector<uint64_t> Vectors::interrupts(const InterruptCounts& seen) {
  if (allocated_ == 0) return counted_before_;
  if (seen.since <= forgotten_ || seen.counts.size() < count()) {
    return interrupts(InterruptCounts::read(device_->bdf(), count()));
  }
  std::vector<uint64_t> counts = counted_before_;
  for (unsigned vector = 0; vector < count(); ++vector) {
    counted_[vector] = std::max(counted_[vector], seen.counts[vector]);
    counts[vector] += counted_[vector];
  }
  return counts;
}

}  // namespace passthru
