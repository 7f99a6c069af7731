// SPDX-License-Identifier: MIT
// The choice among INTx, MSI and MSI-X of one device: it uses at most one at a time, as VFIO
// demands. The device calls it under its own lock; table accesses of the guest go to Msix directly.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "irq/interrupt_mode.h"
#include "irq/intx.h"
#include "irq/msi.h"
#include "irq/msix.h"
#include "irq/saved_interrupts.h"
#include "pci/bdf.h"
#include "vfio/device.h"

namespace passthru {

/// The interrupts of one device.
class Interrupts {
 public:
  struct Options {
    Bdf guest_address{};
    std::optional<MsixLayout> msix{};    ///< what of the capability the guest sees; none: no MSI-X
    bool msi = false;                    ///< the guest sees an MSI capability
    std::optional<unsigned> intx_pin{};  ///< 0 is INTA#; none: the guest sees no pin
    TableRestorer::Wake wake{};
    uint32_t max_per_second = 0;  ///< interrupts of each vector of MSI and MSI-X; 0: no limit
  };

  Interrupts(const std::shared_ptr<VfioDevice>& device, ForwardingRouter& router,
             VectorObserver& observer, const Options& options);

  /// The device was reset, or is new: enables INTx if it has a pin.
  void start();
  /// Unbinds all, and clears what is pending.
  void stop();

  /// Leaves all for another process, which goes on with the device, and returns the state. The
  /// device is unbound from our eventfds, but keeps its kind of interrupt enabled.
  /// `msi_maskable`: its MSI capability has mask bits.
  SavedInterrupts leave(bool msi_maskable);
  /// Goes on with what another process has left, in place of `start`. The registers are those that
  /// the guest has written.
  void load(const SavedInterrupts& saved, uint16_t msix_control, const MsiRegisters& msi,
            bool awake);

  /// The guest wrote MSI-X Message Control, or the MSI capability.
  void write_msix_control(uint16_t value);
  void write_msi(const MsiRegisters& registers);

  /// The guest's EOI on the line of the INTx pin. Thread-safe: it waits for no other call of these.
  void end_of_intx();

  /// The guest moved its device to D0, or to another state. In every other state a function signals
  /// nothing. The host's device is always in D0, so what it fires then waits.
  void set_awake(bool awake);

  /// The VMM's interrupt remapping has changed for the messages that `filter` selects. Thread-safe.
  void retranslate(const MessageFilter& filter);

  /// Starts to time and trace a vector's signals by `label`; with nullopt, ends that. Holds for
  /// MSI-X and MSI, whichever is or becomes enabled.
  Result<void> watch(unsigned vector, std::optional<uint64_t> label);

  /// Makes the kernel act as if the device had signalled a vector of MSI-X or MSI, whichever is
  /// enabled.
  /// Errors:
  /// - EINVAL: the vector has no host interrupt now, or the device has neither.
  Result<void> trigger(unsigned vector);

  /// See Delivery::audit, for MSI-X and MSI. Tries INTx again if the kernel refused it. Returns how
  /// many vectors were restored.
  Result<uint32_t> audit();

  /// Null if the guest sees no MSI-X.
  [[nodiscard]] Msix* msix() { return msix_.get(); }
  [[nodiscard]] InterruptMode mode() const;
  /// The MSI pending bits.
  [[nodiscard]] uint32_t msi_pending() { return msi_ ? msi_->pending() : 0; }
  /// Returns the vectors of MSI if that is enabled, otherwise those of MSI-X. `seen`: see
  /// Vectors::interrupts.
  [[nodiscard]] std::vector<VectorState> inspect(const InterruptCounts& seen);
  /// Returns the delivered interrupts of one kind since the device was opened: see
  /// Delivery::delivered and Intx::delivered.
  [[nodiscard]] uint64_t delivered(InterruptMode kind, const InterruptCounts& seen);
  /// Returns the counters of MSI-X and MSI together.
  [[nodiscard]] InterruptCounters counters() const;

 private:
  /// Calls `call` of MSI-X and MSI, each if the device has it.
  template <class Call>
  void for_each(Call call) const {
    if (msix_) call(static_cast<MessageInterrupts&>(*msix_));
    if (msi_) call(static_cast<MessageInterrupts&>(*msi_));
  }
  [[nodiscard]] bool wants_msix() const;
  [[nodiscard]] bool wants_msi() const;
  /// Return the registers as they take effect now.
  [[nodiscard]] uint16_t msix_in_force() const;
  [[nodiscard]] MsiRegisters msi_in_force() const;
  void enable_intx();
  void retry_intx();
  void report_intx(const Result<void>& done);
  void write_msix();
  void write_msi();

  VectorObserver& observer_;
  std::unique_ptr<Msix> msix_;
  std::unique_ptr<Msi> msi_;
  std::unique_ptr<Intx> intx_;
  bool awake_ = true;
  bool intx_refused_ = false;                ///< a guest's writes do not try it again
  unsigned intx_wait_ = 1;                   ///< audits between two tries
  unsigned intx_next_try_ = 0;               ///< audits until the next
  std::atomic<bool> intx_reported_ = false;  ///< a failure since it worked last
  uint16_t msix_control_ = 0;                ///< as the guest wrote it
  MsiRegisters msi_registers_{};
};

}  // namespace passthru
