// SPDX-License-Identifier: MIT
// Owns which of INTx, MSI and MSI-X a device uses: at most one at a time, as VFIO has it. Called by
// the device under its own lock; table accesses of the guest go to Msix directly.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "irq/intx.h"
#include "irq/msi.h"
#include "irq/msix.h"
#include "pci/bdf.h"
#include "vfio/device.h"

namespace passthru {

enum class InterruptMode { None, Intx, Msi, Msix };

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

  /// The device was reset, or is new: INTx, if it has that.
  void start();
  /// Everything unbound, nothing pending.
  void stop();

  /// The guest wrote MSI-X Message Control, or the MSI capability.
  void write_msix_control(uint16_t value);
  void write_msi(const MsiRegisters& registers);

  /// The guest's EOI on the line of the INTx pin. Thread-safe: it waits for no other call of these.
  void end_of_intx();

  /// Whether the guest has its device in D0. In every other state a function signals nothing; the
  /// host's device is always in D0, so what it fires then waits.
  void set_awake(bool awake);

  /// The VMM's interrupt remapping has changed for the messages that are concerned. Thread-safe.
  void retranslate(const MessageFilter& concerns);

  /// Has a vector's signals timed and traced by `label`, or with nullopt no more: of MSI-X and MSI,
  /// whichever is enabled or will be.
  Result<void> watch(unsigned vector, std::optional<uint64_t> label);

  /// Has the kernel act as if the device had signalled a vector of MSI-X or MSI, whichever is
  /// enabled. EINVAL: it has no interrupt of the host now.
  Result<void> trigger(unsigned vector);

  /// Looks at all bound vectors and restores what is damaged, and what an earlier look could not.
  /// Tries INTx again where it was refused. Returns how many vectors were restored.
  Result<uint32_t> audit();

  /// Null where the guest sees no MSI-X.
  [[nodiscard]] Msix* msix() { return msix_.get(); }
  [[nodiscard]] InterruptMode mode() const;
  /// The MSI pending bits.
  [[nodiscard]] uint32_t msi_pending() { return msi_ ? msi_->pending() : 0; }
  /// The vectors of MSI where that is enabled, otherwise those of MSI-X. `seen`: see
  /// Vectors::interrupts.
  [[nodiscard]] std::vector<VectorState> inspect(const InterruptCounts& seen);
  [[nodiscard]] uint64_t set_irqs_calls() const;
  /// Of one kind, since the device was opened: see Delivery::delivered and Intx::delivered.
  [[nodiscard]] uint64_t delivered(InterruptMode kind, const InterruptCounts& seen);
  [[nodiscard]] uint64_t restores() const;
  [[nodiscard]] uint64_t rearms() const;
  [[nodiscard]] uint64_t damages() const;
  [[nodiscard]] uint64_t refused_messages() const;

 private:
  [[nodiscard]] bool wants_msix() const;
  [[nodiscard]] bool wants_msi() const;
  void enable_intx();
  void retry_intx();
  void tell_intx(const Result<void>& done);
  void write_msix();
  void write_msi();

  VectorObserver& observer_;
  std::unique_ptr<Msix> msix_;
  std::unique_ptr<Msi> msi_;
  std::unique_ptr<Intx> intx_;
  bool awake_ = true;
  bool intx_refused_ = false;            ///< a guest's writes do not try it again
  unsigned intx_wait_ = 1;               ///< audits between two tries
  unsigned intx_next_try_ = 0;           ///< audits until the next
  std::atomic<bool> intx_told_ = false;  ///< that something failed, since it worked last
  uint16_t msix_control_ = 0;            ///< as the guest wrote it
  MsiRegisters msi_registers_{};
};

}  // namespace passthru
