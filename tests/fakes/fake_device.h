// SPDX-License-Identifier: MIT
// A fake PCI device and vfio-pci's part of it. Tests act as the hardware through the upper half.
// The lower half is the kernel's side; only FakeKernel calls it. Thread-safe.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <span>
#include <vector>

#include "base/fd.h"
#include "base/mutex.h"
#include "base/result.h"
#include "tests/fakes/fake_config.h"
#include "tests/fakes/fake_spec.h"
#include "vfio/kernel.h"

namespace passthru {

/// An entry of the physical MSI-X table.
struct PhysicalEntry {
  uint32_t address_low = 0;
  uint32_t address_high = 0;
  uint32_t data = 0;
  uint32_t control = 1;  ///< bit 0: masked
  bool operator==(const PhysicalEntry&) const = default;
};

/// The result of an interrupt that the device raised.
enum class Fired { Delivered, Pending, Lost };

class FakeDevice {
 public:
  FakeDevice(FakeSpec spec, bool interrupt_remapping, uint64_t page_size = 4096);
  ~FakeDevice();
  FakeDevice(const FakeDevice&) = delete;
  FakeDevice& operator=(const FakeDevice&) = delete;

  // ---- the hardware's side, for tests ----

  [[nodiscard]] const FakeSpec& spec() const { return spec_; }

  /// Raises an MSI-X vector, or an MSI vector if MSI is enabled. Returns:
  /// - Delivered: the bound eventfd is signalled.
  /// - Pending: the entry is masked. The bit in the physical PBA is set; unmasking delivers the
  ///   interrupt.
  /// - Lost: Enable is clear, or the entry holds no host message. lost() counts these.
  Fired fire(unsigned vector);
  /// Drives the INTx pin.
  void set_intx(bool level);
  /// Signals the error or unplug-request interrupt, as the kernel does, if it is bound.
  void notify(Irq irq);
  /// Records uncorrectable errors, as bits of the AER registers, and signals the error interrupt.
  void report_errors(uint32_t status, uint32_t severity);
  /// Does a function-level reset that VFIO does not see: messages are zero, entries masked, Enable
  /// and COMMAND are 0. The BARs decode nothing until a write of COMMAND through VFIO. Until then,
  /// mappings show all ones and the kernel's writes are lost.
  void backdoor_reset();

  /// Makes the device stop answering, or answer again. While gone, its registers read as all ones,
  /// except the bits of config space that the kernel answers for.
  void set_gone(bool gone);

  /// Makes memory unreachable, as without memory decode or in D3, or reachable again. Accesses
  /// through a mapping then raise SIGBUS; accesses through VFIO fail with EIO.
  void set_faulting(bool faulting);

  /// Makes something else in the host hold a BAR: VFIO then refuses all accesses to it with EBUSY.
  void hold_bar(unsigned bar);

  /// Makes the next `resets` resets find the device's lock held: EAGAIN. UINT32_MAX: all resets.
  void set_busy_resets(unsigned resets);
  /// Sets a function that runs during VFIO_DEVICE_RESET and VFIO_DEVICE_PCI_HOT_RESET, before the
  /// device is reset. Call it while no other thread calls the fake.
  void set_reset_pause(std::function<void()> pause) { reset_pause_ = std::move(pause); }

  /// Reads the physical table, PBA and MSI-X control, bypassing VFIO.
  PhysicalEntry entry(unsigned vector);
  void set_entry(unsigned vector, const PhysicalEntry& entry);
  /// Zeroes all 16 bytes of every entry: unmasked, without a message.
  void zero_table();
  bool pending(unsigned vector);
  uint16_t msix_control();
  void set_msix_control(uint16_t value);
  /// Returns the message that the host kernel writes into the vector's entry.
  [[nodiscard]] PhysicalEntry host_message(unsigned vector) const;

  /// Makes SET_IRQS fail with `code` when it gives this vector an eventfd. 0 ends that.
  void refuse(unsigned vector, int code);
  /// Sets a function that runs for each vector that SET_IRQS gives an eventfd, after the entry is
  /// written. It stands for the time that the kernel takes to request the interrupt. Call set_pause
  /// while no other thread calls the fake.
  void set_pause(std::function<void()> pause) { pause_ = std::move(pause); }

  /// Returns a BAR's memory as the device holds it, which mappings show. Takes no lock.
  std::span<std::byte> bar(unsigned index) { return {bars_[index].data, spec_.bars[index].size}; }

  /// Returns whether an eventfd is bound to the vector.
  bool bound(unsigned vector);
  /// Returns how many vectors the kernel has allocated; 0 if MSI and MSI-X are disabled.
  unsigned allocated();
  uint64_t lost();
  /// Counts resets by VFIO: VFIO_DEVICE_RESET, and resets through config writes.
  unsigned resets();

  // ---- the kernel's side, for FakeKernel ----

  Result<RegionInfo> region_info(Region region) const;
  Result<IrqInfo> irq_info(Irq irq) const;
  Result<void> bind(Irq irq, uint32_t start, std::span<const int> eventfds);
  /// Unbinds these vectors after a SET_IRQS that failed to bind them.
  void bind_failed(Irq irq, uint32_t start, size_t count);
  Result<void> disable(Irq irq);
  Result<void> act(Irq irq, IrqAction action, uint32_t start, uint32_t count);
  Result<void> bind_unmask(Irq irq, int eventfd);
  /// Unmasks INTx if its unmask eventfd was signalled. Call it after any eventfd is signalled.
  void poll_unmask();
  Result<void> reset();
  void hot_reset();
  /// Returns whether the device's lock is held now; see set_busy_resets.
  bool is_busy();
  Result<void> read(uint64_t fd_offset, std::span<std::byte> data);
  Result<void> write(uint64_t fd_offset, std::span<const std::byte> data);
  /// The descriptor and offset to map.
  struct Mappable {
    int fd;
    uint64_t offset;
  };
  Result<Mappable> map(uint64_t fd_offset, uint64_t size);
  /// Handles the close of the device's last descriptor.
  void released();

 private:
  struct Memory {
    Fd fd;
    std::byte* data = nullptr;  ///< the memory that mappings show
    size_t size = 0;
    std::vector<std::byte> hidden;  ///< the device's memory while mappings show something else
  };
  struct Vector {
    bool allocated = false;
    Fd trigger;
    PhysicalEntry cached;  ///< the kernel's last write
  };
  enum class Access { Nothing, Ones, Memory };
  enum class Shown { Content, Ones, Faults };

  Access access(uint64_t bar) const PASSTHRU_REQUIRES(state_mutex_);
  bool in_table(unsigned bar, uint64_t offset) const;
  bool held(uint64_t bar) const PASSTHRU_REQUIRES(state_mutex_) {
    return (held_bars_ >> bar & 1) != 0;
  }
  uint64_t page_up(uint64_t size) const { return (size + page_size_ - 1) & ~(page_size_ - 1); }
  void do_reset() PASSTHRU_REQUIRES(state_mutex_);
  void restore_irqs() PASSTHRU_REQUIRES(state_mutex_);

  static size_t index_of(Irq irq) { return static_cast<size_t>(irq); }

  // fake_set_irqs.cc
  Result<bool> begin_bind(Irq irq, unsigned end);
  Result<void> set_vector_and_wait(unsigned vector, int eventfd);
  Result<void> enable(Irq irq, unsigned count) PASSTHRU_REQUIRES(state_mutex_);
  Result<void> set_vector(unsigned vector, int eventfd) PASSTHRU_REQUIRES(state_mutex_);
  Result<void> bind_single(Irq irq, uint32_t start, std::span<const int> eventfds)
      PASSTHRU_REQUIRES(state_mutex_);
  Result<void> act_on_intx(IrqAction action) PASSTHRU_REQUIRES(state_mutex_);
  void disable_all() PASSTHRU_REQUIRES(state_mutex_);
  unsigned allocated_now() const PASSTHRU_REQUIRES(state_mutex_);

  // fake_hardware.cc
  static void signal(const Fd& eventfd);
  void assert_intx() PASSTHRU_REQUIRES(state_mutex_);
  void deliver_pending(unsigned vector) PASSTHRU_REQUIRES(state_mutex_);
  bool may_deliver(unsigned vector) PASSTHRU_REQUIRES(state_mutex_);
  std::byte* device_memory(unsigned bar);
  std::byte* entry_at(unsigned vector);
  PhysicalEntry entry_now(unsigned vector) PASSTHRU_REQUIRES(state_mutex_);
  std::byte* pending_at(unsigned vector) PASSTHRU_REQUIRES(state_mutex_);
  void program(unsigned vector, const PhysicalEntry& entry) PASSTHRU_REQUIRES(state_mutex_);
  /// Writes an entry as the kernel does: updates the cached copy, and the table unless the BAR is
  /// lost.
  void host_writes(unsigned vector, const PhysicalEntry& entry) PASSTHRU_REQUIRES(state_mutex_);
  void lose_bars() PASSTHRU_REQUIRES(state_mutex_);
  void find_bars() PASSTHRU_REQUIRES(state_mutex_);
  /// Updates the mappings to match config space and the flags below.
  void settle_mappings() PASSTHRU_REQUIRES(state_mutex_);
  bool take_busy_reset() PASSTHRU_REQUIRES(state_mutex_);
  void clear_msix() PASSTHRU_REQUIRES(state_mutex_);

  const FakeSpec spec_;
  const bool interrupt_remapping_;
  const uint64_t page_size_;
  std::array<Memory, 6> bars_;
  std::function<void()> pause_;
  std::function<void()> reset_pause_;

  Mutex state_mutex_;  ///< protects the state of the kernel and the hardware
  FakeConfig config_ PASSTHRU_GUARDED_BY(state_mutex_);
  bool bars_lost_ PASSTHRU_GUARDED_BY(state_mutex_) = false;
  bool gone_ PASSTHRU_GUARDED_BY(state_mutex_) = false;
  bool faulting_ PASSTHRU_GUARDED_BY(state_mutex_) = false;
  Shown shown_ PASSTHRU_GUARDED_BY(state_mutex_) = Shown::Content;
  unsigned held_bars_ PASSTHRU_GUARDED_BY(state_mutex_) = 0;  ///< bit n: BAR n
  unsigned busy_resets_ PASSTHRU_GUARDED_BY(state_mutex_) = 0;
  /// The interrupt mode that the kernel has enabled: INTx, MSI or MSI-X. Request: no mode.
  Irq enabled_ PASSTHRU_GUARDED_BY(state_mutex_) = Irq::Request;
  std::vector<Vector> vectors_ PASSTHRU_GUARDED_BY(state_mutex_);
  std::array<Fd, 5> single_
      PASSTHRU_GUARDED_BY(state_mutex_);  ///< INTx, error and request, by index
  Fd unmask_eventfd_ PASSTHRU_GUARDED_BY(state_mutex_);
  bool intx_level_ PASSTHRU_GUARDED_BY(state_mutex_) = false;
  /// The pending bits of a device that announces them outside of its BARs.
  std::array<std::byte, 256> pba_nowhere_ PASSTHRU_GUARDED_BY(state_mutex_) = {};
  bool intx_masked_ PASSTHRU_GUARDED_BY(state_mutex_) = false;
  std::map<unsigned, int> refused_ PASSTHRU_GUARDED_BY(state_mutex_);  ///< error by vector
  uint64_t lost_ PASSTHRU_GUARDED_BY(state_mutex_) = 0;
  unsigned resets_ PASSTHRU_GUARDED_BY(state_mutex_) = 0;
};

}  // namespace passthru
