// SPDX-License-Identifier: MIT
// Owns when SET_IRQS is called for a vector, and with how many. Vectors are programmed ascending,
// always: some devices fail otherwise.
#include "irq/vectors.h"

#include <algorithm>
#include <utility>

#include "vfio/interrupt_counts.h"

namespace passthru {

Vectors::Vectors(std::shared_ptr<VfioDevice> device, Irq irq)
    : device_(std::move(device)),
      irq_(irq),
      vectors_(device_->irq(irq).count),
      counted_before_(vectors_.size()) {}

Vectors::~Vectors() {
  release();
}

Result<bool> Vectors::bind(std::span<const unsigned> wanted) {
  if (wanted.empty()) return false;
  for (unsigned vector : wanted) {
    if (!vectors_[vector].eventfd) {
      vectors_[vector].eventfd =
          PASSTHRU_TRY(device_->kernel().make_eventfd().on(device_->bdf().str()));
    }
  }
  auto mark = [&](bool bound) {
    for (unsigned vector : wanted) vectors_[vector].bound = bound;
  };

  const unsigned needed = std::max(wanted.back() + 1, least_);
  const bool cycles = allocated_ != 0 && needed > allocated_ && device_->irq(irq_).noresize;
  mark(true);
  auto done = cycles ? grow(needed) : allocated_ == 0 ? enable(needed) : bind_runs(wanted);
  if (done) return cycles;

  mark(false);
  // What was bound before a cycle comes back; where the kernel refuses even that, nothing is bound.
  if (cycles && !enable(bound_end())) forget();
  return tl::unexpected(std::move(done).error());
}

Result<void> Vectors::enable_index() {
  return enabled() ? Result<void>{} : enable(std::max(1U, least_));
}

Result<void> Vectors::bind_runs(std::span<const unsigned> wanted) {
  for (size_t at = 0; at < wanted.size();) {
    size_t end = at + 1;
    while (end < wanted.size() && wanted[end] == wanted[end - 1] + 1) ++end;
    auto done = set_irqs(wanted[at], wanted[end - 1] + 1);
    if (!done) {
      // The kernel has unbound this run itself; the runs before it are ours to undo.
      for (size_t undo = 0; undo < at; ++undo) {
        const int none = -1;
        ++set_irqs_calls_;
        ignore(device_->bind_irqs(irq_, wanted[undo], {&none, 1}),
               "undoing; the first error is reported");
      }
      return done;
    }
    allocated_ = std::max(allocated_, wanted[end - 1] + 1);
    at = end;
  }
  return {};
}

Result<void> Vectors::grow(unsigned needed) {
  const unsigned doubled = std::min(count(), std::max(needed, 2 * allocated_));
  disable();
  auto done = enable(doubled);
  // Fewer vectors than doubling asks for may still be enough.
  if (!done && done.error().code == ENOSPC && doubled > needed) return enable(needed);
  return done;
}

Result<void> Vectors::enable(unsigned allocation) {
  auto done = set_irqs(0, allocation);
  if (done) allocated_ = allocation;
  return done;
}

Result<void> Vectors::set_irqs(unsigned start, unsigned end) {
  std::vector<int> eventfds;
  eventfds.reserve(end - start);
  for (unsigned vector = start; vector < end; ++vector) {
    eventfds.push_back(vectors_[vector].bound ? vectors_[vector].eventfd.get() : -1);
  }
  ++set_irqs_calls_;
  return device_->bind_irqs(irq_, start, eventfds);
}

Result<void> Vectors::rebind(unsigned vector) {
  return set_irqs(vector, vector + 1);
}

Result<void> Vectors::cycle() {
  if (allocated_ == 0) return {};
  const unsigned allocation = allocated_;
  disable();
  auto done = enable(allocation);
  if (!done) forget();
  return done;
}

void Vectors::forget() {
  for (Vector& vector : vectors_) vector.bound = false;
}

unsigned Vectors::bound_end() const {
  unsigned end = count();
  while (end != 0 && !vectors_[end - 1].bound) --end;
  return end;
}

void Vectors::disable() {
  if (allocated_ == 0) return;
  // The kernel forgets its counts with the vectors.
  std::vector<uint64_t> counted = interrupts();
  ++set_irqs_calls_;
  // Where the kernel refuses, the index is still enabled, and no other kind of interrupt can be had
  // before it is disabled after all: by the next one who tries.
  if (!device_->disable_irqs(irq_)) return;
  counted_before_ = std::move(counted);
  allocated_ = 0;
}

void Vectors::release() {
  disable();
  for (Vector& vector : vectors_) vector = Vector{};
}

bool Vectors::drain(unsigned vector) {
  if (!vectors_[vector].eventfd) return false;
  auto count = device_->kernel().drain_eventfd(vectors_[vector].eventfd.get());
  return count && *count != 0;
}

void Vectors::signal(unsigned vector) {
  if (!vectors_[vector].eventfd) return;
  ignore(device_->kernel().signal_eventfd(vectors_[vector].eventfd.get()),
         "fails only when the counter is full, and then it is signalled already");
}

std::vector<uint64_t> Vectors::interrupts() const {
  std::vector<uint64_t> counts = counted_before_;
  if (allocated_ == 0) return counts;
  const auto now = interrupt_counts(device_->bdf(), count());
  for (unsigned vector = 0; vector < count(); ++vector) counts[vector] += now[vector];
  return counts;
}

}  // namespace passthru
