// SPDX-License-Identifier: MIT
#include "irq/message_interrupts.h"

#include <climits>
#include <utility>

namespace passthru {

MessageInterrupts::MessageInterrupts(const std::shared_ptr<VfioDevice>& device,
                                     std::unique_ptr<const PhysicalTable> physical,
                                     ForwardingRouter& router, VectorObserver& observer,
                                     Delivery::Options options)
    : physical_(std::move(physical)),
      delivery_(device, physical_.get(), router, observer, std::move(options)) {}

void MessageInterrupts::retranslate(const MessageFilter& filter) {
  MutexLock lock(vectors_mutex_);
  delivery_.retranslate(source(), filter);
}

Result<void> MessageInterrupts::watch(unsigned vector, std::optional<uint64_t> label) {
  MutexLock lock(vectors_mutex_);
  return vector < delivery_.count() ? delivery_.watch(vector, label) : Result<void>{};
}

Result<uint32_t> MessageInterrupts::audit() {
  MutexLock lock(vectors_mutex_);
  return delivery_.audit(source());
}

Result<void> MessageInterrupts::trigger(unsigned vector) {
  MutexLock lock(vectors_mutex_);
  return delivery_.trigger(vector);
}

bool MessageInterrupts::enabled() const {
  MutexLock lock(vectors_mutex_);
  return source().enabled();
}

std::vector<VectorState> MessageInterrupts::inspect(const InterruptCounts& seen) {
  MutexLock lock(vectors_mutex_);
  auto states = delivery_.inspect(source(), seen);
  if (!physical_) return states;
  unsigned word = UINT_MAX;
  uint64_t bits = 0;
  for (VectorState& state : states) {
    if (!state.bound) continue;
    if (std::exchange(word, state.index / 64) != state.index / 64) bits = physical_->pending(word);
    state.device_pending = (bits >> state.index % 64 & 1) != 0;
  }
  return states;
}

uint64_t MessageInterrupts::delivered(const InterruptCounts& seen) {
  MutexLock lock(vectors_mutex_);
  return delivery_.delivered(seen);
}

InterruptCounters MessageInterrupts::counters() const {
  MutexLock lock(vectors_mutex_);
  return delivery_.counters();
}

}  // namespace passthru
