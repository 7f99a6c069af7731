// SPDX-License-Identifier: MIT
// AssignedDevice::Impl: the parts of one device, and the order in which they change. Private to
// device/. A VMM includes device/assigned_device.h.
#pragma once

#include <atomic>
#include <chrono>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/mutex.h"
#include "device/assigned_device.h"
#include "device/bus_resets.h"
#include "device/device_state.h"
#include "device/event_limit.h"
#include "irq/interrupts.h"
#include "mmap/bar_access.h"
#include "mmap/bars.h"
#include "mmap/config_space.h"
#include "mmap/rom_image.h"
#include "pci/aer.h"
#include "vfio/device.h"
#include "vfio/event_irqs.h"

namespace passthru {

/// Lock order: resets_mutex_, that of BusResets, device_mutex_, the vectors' locks, the address
/// spaces' locks. Table and BAR accesses start below device_mutex_ and never take it; neither do
/// EOIs. No lock that a vCPU waits for is held while the kernel resets a device.
class AssignedDevice::Impl : public VectorObserver, public BusResetMember {
 public:
  static Result<std::unique_ptr<Impl>> open(Domain& domain, const AssignOptions& options,
                                            DeviceSource source);
  ~Impl() override;

  uint32_t config_read(uint32_t offset, unsigned width) PASSTHRU_EXCLUDES(device_mutex_);
  void config_write(uint32_t offset, unsigned width, uint32_t value)
      PASSTHRU_EXCLUDES(resets_mutex_, device_mutex_);
  /// Waits a short time until devices reach the BARs where they are now.
  void wait_for_peers() PASSTHRU_EXCLUDES(device_mutex_);
  [[nodiscard]] const BarAccess& bar_access() const { return bar_access_; }
  [[nodiscard]] std::vector<BarSpanMemory> bar_spans(unsigned bar) PASSTHRU_EXCLUDES(device_mutex_);
  [[nodiscard]] BarInspection bar_info(unsigned bar) PASSTHRU_EXCLUDES(device_mutex_);
  void end_of_intx() PASSTHRU_EXCLUDES(intx_mutex_);
  void retranslate(const MessageFilter& concerns) PASSTHRU_EXCLUDES(device_mutex_);
  Result<void> watch(unsigned vector, std::optional<uint64_t> label)
      PASSTHRU_EXCLUDES(device_mutex_);
  Result<void> trigger(unsigned vector) PASSTHRU_EXCLUDES(device_mutex_);
  // A reset of the VM has three steps. Every device takes a step before any device takes the next.
  // Returns false if the device was detached.
  bool begin_reset() PASSTHRU_EXCLUDES(resets_mutex_, device_mutex_);
  /// `reset_now` are the devices that take part in the reset. Adds the devices that were reset to
  /// `done`.
  Result<void> reset_hardware(const std::set<Bdf>& reset_now, std::set<Bdf>& done)
      PASSTHRU_EXCLUDES(resets_mutex_, device_mutex_);
  Result<void> end_reset() PASSTHRU_EXCLUDES(device_mutex_);
  [[nodiscard]] Bdf bdf() const override { return options_.device; }
  bool pause() override PASSTHRU_EXCLUDES(device_mutex_);
  void resume() override PASSTHRU_EXCLUDES(device_mutex_);
  /// Returns whether the hardware may be reset at all (AssignOptions::reset).
  [[nodiscard]] bool may_be_reset() const { return options_.reset; }
  [[nodiscard]] bool attached_now() PASSTHRU_EXCLUDES(device_mutex_) {
    MutexLock lock(device_mutex_);
    return attached();
  }
  [[nodiscard]] Error no_device(const char* operation, std::string cause) const;
  Result<uint32_t> check_health() PASSTHRU_EXCLUDES(resets_mutex_, device_mutex_);
  [[nodiscard]] std::vector<int> event_fds() const { return notices_->fds(); }
  void handle_events() PASSTHRU_EXCLUDES(resets_mutex_, device_mutex_);
  [[nodiscard]] bool is_silent() PASSTHRU_EXCLUDES(device_mutex_) {
    MutexLock lock(device_mutex_);
    return attached() && phase_ == Phase::Silent;
  }
  [[nodiscard]] Result<DeviceDescriptors> descriptors() PASSTHRU_EXCLUDES(device_mutex_);
  Result<std::string> save_state() PASSTHRU_EXCLUDES(resets_mutex_, device_mutex_);
  Result<void> load_state(std::string_view state) PASSTHRU_EXCLUDES(resets_mutex_, device_mutex_);
  enum class Why { Vmm, Unplug, Silence, End };  ///< End: of this object
  /// Returns whether this call detached the device.
  bool detach(Why why) PASSTHRU_EXCLUDES(resets_mutex_, device_mutex_);
  [[nodiscard]] Inspection inspect() PASSTHRU_EXCLUDES(device_mutex_);

 private:
  /// Of an attached device. A detached device has no phase.
  ///
  /// | event                          | from                       | to         |
  /// |--------------------------------|----------------------------|------------|
  /// | it is opened with Keep         |                            | Waiting    |
  /// | it is opened with Reset        |                            | Running    |
  /// | load_state succeeds            | Waiting                    | Running    |
  /// | the guest asks for a reset     | Running                    | Resetting  |
  /// | that reset ends                | Resetting                  | Running    |
  /// | two reads get no answer        | Running                    | Silent     |
  /// | it answers again               | Silent                     | Running    |
  /// | another device's bus is reset  | Running                    | Paused     |
  /// | that reset ends                | Paused                     | Running    |
  /// | a reset of the VM begins       | any but Waiting            | ResetByVmm |
  /// | that reset ends                | Waiting, ResetByVmm        | Running    |
  enum class Phase {
    Waiting,    ///< for its state: the function does not answer the guest, no interrupt is bound
    Running,    ///< for the guest
    Resetting,  ///< by the guest: the function does not answer
    Paused,     ///< not used yet, and reset with its slot or bus: the function does not answer
    Silent,     ///< the device answers all ones: its BARs are removed, its vectors stay
    /// The function does not answer, and no vCPU runs. The reset of another device may reset this
    /// device too, so it is not checked.
    ResetByVmm,
  };
  /// The parts of a device that leaves its guest, in the order of the members below.
  struct Parts {
    std::shared_ptr<VfioDevice> device;
    std::unique_ptr<ConfigSpace> config;
    std::unique_ptr<Interrupts> interrupts;
    std::unique_ptr<Bars> bars;
  };

  Impl(Domain& domain, const AssignOptions& options, std::shared_ptr<VfioDevice> device);
  /// Resets a device that was just opened. Returns whether it was reset. A device that nothing can
  /// reset, or not without a device of somebody else, is reported and opened all the same.
  Result<bool> reset_at_start(VfioDevice& device) PASSTHRU_EXCLUDES(device_mutex_);
  Result<void> assemble(const std::shared_ptr<RomImage>& rom, bool was_reset);
  [[nodiscard]] Error explain_silence(Error error, bool was_reset) const;
  void tell_limits() PASSTHRU_REQUIRES(device_mutex_);
  void tell_refused_bars() PASSTHRU_REQUIRES(device_mutex_);
  [[nodiscard]] std::string holder_of(unsigned bar) const;
  [[nodiscard]] std::vector<BarOverlay> msix_overlays() PASSTHRU_REQUIRES(device_mutex_);
  [[nodiscard]] std::unique_ptr<BarPlacer> make_placer() const;
  [[nodiscard]] bool attached() const PASSTHRU_REQUIRES(device_mutex_) {
    return device_ != nullptr;
  }
  /// Returns whether the guest reaches the device.
  [[nodiscard]] bool answers_guest() const PASSTHRU_REQUIRES(device_mutex_) {
    return attached() && phase_ == Phase::Running;
  }
  /// Returns all parts: the device is detached then. `reason` is for `inspect`, which no caller
  /// uses without a reason.
  Parts take_parts(const std::optional<std::string>& reason) PASSTHRU_REQUIRES(device_mutex_);
  [[nodiscard]] DeviceShape shape() PASSTHRU_REQUIRES(device_mutex_);
  Result<void> place_loaded() PASSTHRU_REQUIRES(device_mutex_);
  /// Unbinds interrupts that the process before has left bound.
  void stop_left_interrupts() PASSTHRU_REQUIRES(device_mutex_);
  void disarm() PASSTHRU_REQUIRES(device_mutex_);
  Result<void> start_anew() PASSTHRU_REQUIRES(device_mutex_);
  /// A reset by the guest has two steps. The second step resets the hardware, and no other access
  /// to config space waits for it. Meanwhile the function does not answer, as in a reset.
  void begin_guest_reset(GuestReset reset) PASSTHRU_REQUIRES(device_mutex_);
  void end_guest_reset() PASSTHRU_EXCLUDES(resets_mutex_, device_mutex_);
  /// Resets the device. Does nothing if the device has no reset of its own, or must not be reset.
  /// EAGAIN: see reset_while_busy.
  Result<void> reset_device(VfioDevice& device);
  /// Resets the device, or without a reset of its own its slot or bus. The devices in `stopped` do
  /// not reach their guests. Returns all devices that were reset.
  ///
  /// Errors:
  /// - ENODEV: nothing resets it.
  /// - EPERM: the reset would hit a device that the VM does not have, or that its guest uses.
  Result<std::set<Bdf>> reset_device_or_bus(VfioDevice& device, const std::set<Bdf>& stopped)
      PASSTHRU_EXCLUDES(device_mutex_);
  [[nodiscard]] Result<void> require_all_on_vfio(std::span<const HotResetFunction> functions) const;
  Result<uint32_t> audit() PASSTHRU_REQUIRES(device_mutex_);
  /// Removes the BARs of a device that does not answer. Nothing waits for the device.
  void become_silent() PASSTHRU_REQUIRES(device_mutex_);
  /// Restores decode, BARs and vectors of a device that answers again.
  Result<uint32_t> come_back() PASSTHRU_REQUIRES(device_mutex_);
  /// Reports an uncorrectable error, and restores COMMAND if a reset is over already.
  void handle_error() PASSTHRU_EXCLUDES(device_mutex_);
  /// Returns the errors that the device recorded. Nothing if it does not answer, or has no AER.
  [[nodiscard]] std::optional<UncorrectableErrors> recorded_errors()
      PASSTHRU_REQUIRES(device_mutex_);
  [[nodiscard]] bool left_the_machine() const;
  [[nodiscard]] bool answers() PASSTHRU_REQUIRES(device_mutex_);
  [[nodiscard]] bool was_silent_too_long() PASSTHRU_REQUIRES(device_mutex_);
  [[nodiscard]] std::string silence_text() const;
  [[nodiscard]] std::string reason_text(Why why) const;
  void apply(const ConfigChange& change) PASSTHRU_REQUIRES(device_mutex_);
  [[nodiscard]] BarInspection inspect_bar(unsigned bar) const PASSTHRU_REQUIRES(device_mutex_);
  /// Returns everything but the name. `counted` was read before the lock was taken.
  [[nodiscard]] Inspection inspect_locked(const InterruptCounts& counted)
      PASSTHRU_REQUIRES(device_mutex_);

  void vector_failed(unsigned vector, const Error& error) override;
  void vectors_restored(unsigned count) override;
  void intx_failed(const Error& error) override;
  void vector_changed(unsigned vector, Change change) override;
  void trace_moves() PASSTHRU_REQUIRES(device_mutex_);
  /// Reports an event, within the limit of its kind. `about` gives each vector a limit of its own.
  void tell(Event::Kind kind, std::string detail, unsigned about = 0)
      PASSTHRU_EXCLUDES(events_mutex_);

  Domain& domain_;
  const AssignOptions options_;
  Mutex resets_mutex_;                ///< held while the hardware is reset for the guest
  std::atomic<bool> leaving_{false};  ///< a detach waits: do not retry resets
  Mutex device_mutex_;  ///< protects config space, the BARs' places, and the order in which both
                        ///< change
  // Null when detached. Torn down from the last to the first: the BARs leave the guest, then the
  // vectors are unbound, then the device is closed.
  std::shared_ptr<VfioDevice> device_ PASSTHRU_GUARDED_BY(device_mutex_);
  std::unique_ptr<ConfigSpace> config_ PASSTHRU_GUARDED_BY(device_mutex_);
  std::unique_ptr<Interrupts> interrupts_ PASSTHRU_GUARDED_BY(device_mutex_);
  std::unique_ptr<Bars> bars_ PASSTHRU_GUARDED_BY(device_mutex_);
  BarAccess bar_access_;  ///< to bars_; empty when detached, and while the device waits
  /// After save_state: keeps the descriptors open until the end.
  std::shared_ptr<VfioDevice> left_ PASSTHRU_GUARDED_BY(device_mutex_);
  Mutex intx_mutex_;  ///< taken after device_mutex_; an EOI takes this alone
  Interrupts* intx_ PASSTHRU_GUARDED_BY(intx_mutex_) =
      nullptr;                          ///< interrupts_; null when detached
  std::unique_ptr<EventIrqs> notices_;  ///< set once by assemble
  std::optional<Inspection> last_ PASSTHRU_GUARDED_BY(device_mutex_);  ///< at the detach

  using Clock = std::chrono::steady_clock;
  std::optional<Clock::time_point> silent_since_ PASSTHRU_GUARDED_BY(device_mutex_);
  bool audit_failed_ PASSTHRU_GUARDED_BY(device_mutex_) = false;  ///< the last audit failed
  Phase phase_ PASSTHRU_GUARDED_BY(device_mutex_);
  /// The guest, or the VMM for it, has accessed config space, or goes on from a saved state.
  bool accessed_ PASSTHRU_GUARDED_BY(device_mutex_);
  bool unplug_was_told_ PASSTHRU_GUARDED_BY(device_mutex_) = false;
  ResetCounts resets_ PASSTHRU_GUARDED_BY(device_mutex_);
  uint64_t audits_ PASSTHRU_GUARDED_BY(device_mutex_) = 0;
  uint64_t device_errors_ PASSTHRU_GUARDED_BY(device_mutex_) = 0;
  uint32_t known_errors_ PASSTHRU_GUARDED_BY(device_mutex_) = 0;  ///< status bits at the last read
  /// An error was reported without its bits, because the device did not answer.
  bool errors_unread_ PASSTHRU_GUARDED_BY(device_mutex_) = false;
  Mutex events_mutex_;  ///< taken last
  std::map<std::pair<Event::Kind, unsigned>, EventLimit> limits_ PASSTHRU_GUARDED_BY(events_mutex_);
  /// The addresses of the BARs at the last move that was traced.
  BarAddresses traced_ PASSTHRU_GUARDED_BY(device_mutex_) = {};
};

}  // namespace passthru
