// SPDX-License-Identifier: MIT
// Owns one PCI device that does not exist, and what vfio-pci does with it. Tests use its upper half
// to be the hardware; its lower half is the kernel's, for FakeKernel alone. Thread-safe.
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

/// What became of an interrupt that the device raised.
enum class Fired { Delivered, Pending, Lost };

class FakeDevice {
 public:
  FakeDevice(FakeSpec spec, bool interrupt_remapping);
  ~FakeDevice();
  FakeDevice(const FakeDevice&) = delete;
  FakeDevice& operator=(const FakeDevice&) = delete;

  // ---- the hardware's side, for tests ----

  [[nodiscard]] const FakeSpec& spec() const { return spec_; }

  /// The device raises an MSI-X vector (or MSI, where that is enabled). Delivered: the bound
  /// eventfd is signalled. Pending: masked, so the bit in the physical PBA is set, and unmasking
  /// delivers it. Lost: Enable is clear, or the entry holds no message of the host; counted by
  /// lost().
  Fired fire(unsigned vector);
  /// Drives the INTx pin.
  void set_intx(bool level);
  /// The kernel signals the error or unplug-request interrupt, if bound.
  void notify(Irq irq);
  /// A function-level reset that VFIO does not see: messages are zero, entries masked, Enable is 0,
  /// COMMAND is 0. The BARs decode nothing until COMMAND is written through VFIO: mappings show all
  /// ones, and what the kernel writes is swallowed.
  void backdoor_reset();

  /// The device does not answer any more, or answers again: its registers read as all ones, but for
  /// the bits of config space that the kernel answers for.
  void set_gone(bool gone);

  /// Memory is out of reach, as it is without memory decode and in D3, or again within reach: an
  /// access through a mapping is SIGBUS, one through VFIO is EIO.
  void set_faulting(bool faulting);

  /// So many resets from now on find the device's lock held: EAGAIN. UINT32_MAX: all of them.
  void set_busy_resets(unsigned resets);
  /// Called while VFIO_DEVICE_RESET is under way, before anything is reset. Set it while no other
  /// thread calls the fake.
  void set_reset_pause(std::function<void()> pause) { reset_pause_ = std::move(pause); }

  /// The physical table, PBA and MSI-X control, past VFIO.
  PhysicalEntry entry(unsigned vector);
  void set_entry(unsigned vector, const PhysicalEntry& entry);
  /// All 16 bytes of every entry become zero: unmasked, and no message.
  void zero_table();
  bool pending(unsigned vector);
  uint16_t msix_control();
  void set_msix_control(uint16_t value);
  /// What the host kernel has put into the vector's entry, or would.
  [[nodiscard]] PhysicalEntry host_message(unsigned vector) const;

  /// From now on SET_IRQS fails with `code` when it gives this vector an eventfd; 0: no more.
  void refuse(unsigned vector, int code);
  /// Called for each vector that SET_IRQS gives an eventfd, after its entry is written: the time
  /// that the kernel takes to request the interrupt. Set it while no other thread calls the fake.
  void set_pause(std::function<void()> pause) { pause_ = std::move(pause); }

  /// A BAR's memory as the device has it: what mappings show. Unlocked.
  std::span<std::byte> bar(unsigned index) { return {bars_[index].data, spec_.bars[index].size}; }

  /// Whether an eventfd is bound to the vector.
  bool bound(unsigned vector);
  /// Vectors that the kernel has allocated; 0 where MSI and MSI-X are disabled.
  unsigned allocated();
  uint64_t lost();
  /// Resets by VFIO: VFIO_DEVICE_RESET, and those that config writes asked for.
  unsigned resets();

  // ---- the kernel's side, for FakeKernel ----

  Result<RegionInfo> region_info(Region region) const;
  Result<IrqInfo> irq_info(Irq irq) const;
  Result<void> bind(Irq irq, uint32_t start, std::span<const int> eventfds);
  /// A SET_IRQS that was to bind these vectors has failed: none of them is bound.
  void bind_failed(Irq irq, uint32_t start, size_t count);
  Result<void> disable(Irq irq);
  Result<void> act(Irq irq, IrqAction action, uint32_t start, uint32_t count);
  Result<void> bind_unmask(Irq irq, int eventfd);
  /// Some eventfd was signalled: unmasks INTx if it was the one bound for that.
  void poll_unmask();
  Result<void> reset();
  void hot_reset();
  /// Whether the device's lock is held now; see set_busy_resets.
  bool is_busy();
  Result<void> read(uint64_t fd_offset, std::span<std::byte> data);
  Result<void> write(uint64_t fd_offset, std::span<const std::byte> data);
  /// The descriptor and offset to mmap.
  struct Mappable {
    int fd;
    uint64_t offset;
  };
  Result<Mappable> map(uint64_t fd_offset, uint64_t size);
  /// The last descriptor of the device was closed.
  void released();

 private:
  struct Memory {
    Fd fd;
    std::byte* data = nullptr;  ///< what mappings show
    size_t size = 0;
    std::vector<std::byte> hidden;  ///< what the device has, while mappings show something else
  };
  struct Vector {
    bool allocated = false;
    Fd trigger;
    PhysicalEntry cached;  ///< as the kernel last wrote it
  };
  enum class Access { Nothing, Ones, Memory };
  enum class Shown { Content, Ones, Faults };

  Access access(uint64_t bar) const PASSTHRU_REQUIRES(state_mutex_);
  bool in_table(unsigned bar, uint64_t offset) const;
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
  std::byte* pending_at(unsigned vector);
  void program(unsigned vector, const PhysicalEntry& entry) PASSTHRU_REQUIRES(state_mutex_);
  /// The kernel writes an entry: it remembers what, and a BAR that decodes nothing swallows it.
  void host_writes(unsigned vector, const PhysicalEntry& entry) PASSTHRU_REQUIRES(state_mutex_);
  void lose_bars() PASSTHRU_REQUIRES(state_mutex_);
  void find_bars() PASSTHRU_REQUIRES(state_mutex_);
  /// Mappings show what follows from config space and the flags below.
  void settle_mappings() PASSTHRU_REQUIRES(state_mutex_);
  bool take_busy_reset() PASSTHRU_REQUIRES(state_mutex_);
  void clear_msix() PASSTHRU_REQUIRES(state_mutex_);

  const FakeSpec spec_;
  const bool interrupt_remapping_;
  std::array<Memory, 6> bars_;
  std::function<void()> pause_;
  std::function<void()> reset_pause_;

  Mutex state_mutex_;  ///< protects what the kernel and the hardware remember
  FakeConfig config_ PASSTHRU_GUARDED_BY(state_mutex_);
  bool bars_lost_ PASSTHRU_GUARDED_BY(state_mutex_) = false;
  bool gone_ PASSTHRU_GUARDED_BY(state_mutex_) = false;
  bool faulting_ PASSTHRU_GUARDED_BY(state_mutex_) = false;
  Shown shown_ PASSTHRU_GUARDED_BY(state_mutex_) = Shown::Content;
  unsigned busy_resets_ PASSTHRU_GUARDED_BY(state_mutex_) = 0;
  /// Which of INTx, MSI and MSI-X the kernel has enabled; Request where none is.
  Irq enabled_ PASSTHRU_GUARDED_BY(state_mutex_) = Irq::Request;
  std::vector<Vector> vectors_ PASSTHRU_GUARDED_BY(state_mutex_);
  std::array<Fd, 5> single_
      PASSTHRU_GUARDED_BY(state_mutex_);  ///< INTx, error and request, by index
  Fd unmask_eventfd_ PASSTHRU_GUARDED_BY(state_mutex_);
  bool intx_level_ PASSTHRU_GUARDED_BY(state_mutex_) = false;
  bool intx_masked_ PASSTHRU_GUARDED_BY(state_mutex_) = false;
  std::map<unsigned, int> refused_ PASSTHRU_GUARDED_BY(state_mutex_);  ///< error by vector
  uint64_t lost_ PASSTHRU_GUARDED_BY(state_mutex_) = 0;
  unsigned resets_ PASSTHRU_GUARDED_BY(state_mutex_) = 0;
};

}  // namespace passthru
