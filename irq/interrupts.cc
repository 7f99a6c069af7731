// SPDX-License-Identifier: MIT
// Changes between kinds of interrupt free the old kind before they bind the new one, because VFIO
// refuses a second index. A level that is asserted meanwhile is still asserted.
#include "irq/interrupts.h"

#include <algorithm>
#include <utility>

namespace passthru {
namespace {

constexpr unsigned kMaxAuditsBetweenTries = 1024;

}  // namespace

Interrupts::Interrupts(const std::shared_ptr<VfioDevice>& device, ForwardingRouter& router,
                       VectorObserver& observer, const Options& options)
    : observer_(observer) {
  const uint16_t requester_id = options.guest_address.requester_id();
  if (options.msix) {
    msix_ = std::make_unique<Msix>(device, *options.msix, router, observer,
                                   Msix::Options{.requester_id = requester_id,
                                                 .max_per_second = options.max_per_second,
                                                 .wake = options.wake});
  }
  if (options.msi) {
    msi_ = std::make_unique<Msi>(device, router, observer, requester_id, options.max_per_second);
  }
  if (options.intx_pin) {
    intx_ = std::make_unique<Intx>(device, router, options.guest_address, *options.intx_pin);
  }
}

void Interrupts::start() {
  intx_refused_ = false;
  intx_wait_ = 1;
  intx_next_try_ = 0;
  enable_intx();
}

void Interrupts::stop() {
  if (intx_) intx_->disable();
  if (msi_) msi_->reset();
  if (msix_) msix_->reset();
  awake_ = true;
  msix_control_ = 0;
  msi_registers_ = {};
}

SavedInterrupts Interrupts::leave(bool msi_maskable) {
  SavedInterrupts saved;
  if (intx_) intx_->leave();
  if (msi_) {
    saved.msi_pending =
        msi_->leave(msi_maskable ? Delivery::Leave::Unbound : Delivery::Leave::Bound);
  }
  if (msix_) saved.msix = msix_->leave();
  return saved;
}

// The kernel has the same kind of interrupt enabled as these registers, so no other kind is tried
// first.
void Interrupts::load(const SavedInterrupts& saved, uint16_t msix_control, const MsiRegisters& msi,
                      bool awake) {
  awake_ = awake;
  msix_control_ = msix_control;
  msi_registers_ = msi;
  if (msix_) msix_->load(saved.msix, msix_in_force());
  if (msi_) msi_->load(saved.msi_pending, msi_in_force());
  enable_intx();
  // The line may have fired for the other process, which masked it.
  if (intx_ && intx_->enabled()) report_intx(intx_->unmask());
}

void Interrupts::write_msix_control(uint16_t value) {
  if (!msix_) return;
  msix_control_ = value;
  write_msix();
}

void Interrupts::write_msi(const MsiRegisters& registers) {
  if (!msi_) return;
  msi_registers_ = registers;
  write_msi();
}

void Interrupts::end_of_intx() {
  if (!intx_) return;
  report_intx(intx_->end_of_interrupt());
}

void Interrupts::set_awake(bool awake) {
  if (awake == awake_) return;
  awake_ = awake;
  if (!awake_ && intx_) intx_->disable();
  if (msix_ && (msix_control_ & PCI_MSIX_FLAGS_ENABLE) != 0) write_msix();
  if (msi_ && (msi_registers_.control & PCI_MSI_FLAGS_ENABLE) != 0) write_msi();
  enable_intx();
}

bool Interrupts::wants_msix() const {
  return msix_ && (msix_control_ & PCI_MSIX_FLAGS_ENABLE) != 0;
}

// A guest must not enable both (PCI 3.0, 6.8). With one that does, MSI waits until MSI-X is off.
bool Interrupts::wants_msi() const {
  return msi_ && (msi_registers_.control & PCI_MSI_FLAGS_ENABLE) != 0 && !wants_msix();
}

void Interrupts::write_msix() {
  const bool also_msi = (msi_registers_.control & PCI_MSI_FLAGS_ENABLE) != 0;
  if (wants_msix()) {
    if (intx_) intx_->disable();
    if (also_msi) write_msi();
  }
  msix_->write_control(msix_in_force());
  if (!wants_msix() && also_msi) write_msi();
  enable_intx();
}

void Interrupts::write_msi() {
  if (wants_msi() && intx_) intx_->disable();
  msi_->write(msi_in_force());
  enable_intx();
}

uint16_t Interrupts::msix_in_force() const {
  return awake_ ? msix_control_ : static_cast<uint16_t>(msix_control_ | PCI_MSIX_FLAGS_MASKALL);
}

MsiRegisters Interrupts::msi_in_force() const {
  MsiRegisters registers = msi_registers_;
  if (!wants_msi()) registers.control &= static_cast<uint16_t>(~PCI_MSI_FLAGS_ENABLE);
  if (!awake_) registers.mask = UINT32_MAX;
  return registers;
}

// A guest calls this without bound, by writes to interrupt registers. A refused INTx is therefore
// tried again only after another kind, at a reset and at an audit.
void Interrupts::enable_intx() {
  if (wants_msix() || wants_msi()) intx_refused_ = false;
  if (!intx_ || intx_refused_ || !awake_ || wants_msix() || wants_msi()) return;
  const auto done = intx_->enable();
  intx_refused_ = !done;
  report_intx(done);
}

// Doubles the wait at each try: the kernel may log each refusal.
void Interrupts::retry_intx() {
  if (intx_next_try_-- != 0) return;
  intx_wait_ = std::min(intx_wait_ * 2, kMaxAuditsBetweenTries);
  intx_next_try_ = intx_wait_;
  intx_refused_ = false;
  enable_intx();
}

void Interrupts::report_intx(const Result<void>& done) {
  if (intx_reported_.exchange(!done) || done) return;
  observer_.intx_failed(done.error());
}

void Interrupts::retranslate(const MessageFilter& filter) {
  for_each([&](MessageInterrupts& each) { each.retranslate(filter); });
}

Result<void> Interrupts::watch(unsigned vector, std::optional<uint64_t> label) {
  if (msix_) PASSTHRU_TRY(msix_->watch(vector, label));
  if (msi_) PASSTHRU_TRY(msi_->watch(vector, label));
  return {};
}

Result<void> Interrupts::trigger(unsigned vector) {
  if (msi_ && mode() == InterruptMode::Msi) return msi_->trigger(vector);
  if (msix_) return msix_->trigger(vector);
  return fail(EINVAL, "trigger a vector", "the device has no MSI-X or MSI");
}

Result<uint32_t> Interrupts::audit() {
  uint32_t restored = 0;
  if (intx_refused_) retry_intx();
  if (msix_) restored += PASSTHRU_TRY(msix_->audit());
  if (msi_) restored += PASSTHRU_TRY(msi_->audit());
  return restored;
}

InterruptMode Interrupts::mode() const {
  if (msix_ && msix_->enabled()) return InterruptMode::Msix;
  if (msi_ && msi_->enabled()) return InterruptMode::Msi;
  return intx_ && intx_->enabled() ? InterruptMode::Intx : InterruptMode::None;
}

std::vector<VectorState> Interrupts::inspect(const InterruptCounts& seen) {
  if (msi_ && mode() == InterruptMode::Msi) return msi_->inspect(seen);
  return msix_ ? msix_->inspect(seen) : std::vector<VectorState>{};
}

uint64_t Interrupts::delivered(InterruptMode kind, const InterruptCounts& seen) {
  switch (kind) {
    case InterruptMode::None:
      break;
    case InterruptMode::Intx:
      return intx_ ? intx_->delivered() : 0;
    case InterruptMode::Msi:
      return msi_ ? msi_->delivered(seen) : 0;
    case InterruptMode::Msix:
      return msix_ ? msix_->delivered(seen) : 0;
  }
  return 0;
}

InterruptCounters Interrupts::counters() const {
  InterruptCounters sum;
  for_each([&](MessageInterrupts& each) { sum += each.counters(); });
  return sum;
}

}  // namespace passthru
