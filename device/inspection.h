// SPDX-License-Identifier: MIT
// The state of an assigned device as a person or a program may ask for it: one plain struct. The
// command prints it, the socket sends it, tests compare it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "irq/interrupt_mode.h"
#include "irq/vector_state.h"
#include "irq/verdict.h"
#include "mmap/bar_layout.h"
#include "pci/bdf.h"
#include "vfio/kernel.h"

namespace passthru {

struct SpanInspection {
  uint64_t offset = 0;
  uint64_t size = 0;
  SpanKind kind = SpanKind::Unknown;
  uint64_t trapped_reads = 0;  ///< guest accesses that caused an exit, since the device was opened
  uint64_t trapped_writes = 0;
  int error = 0;  ///< see BarSpanState::error
  [[nodiscard]] bool mapped() const { return kind == SpanKind::Mapped; }
};

struct BarInspection {
  unsigned index = 0;  ///< 0 to 5, 6 for the expansion ROM
  uint64_t size = 0;
  bool io = false;
  bool is_64bit = false;
  bool prefetchable = false;
  bool decoded = false;
  uint64_t guest_address = 0;  ///< while decoded
  std::vector<SpanInspection> spans{};
};

/// MSI-X Message Control, as the guest wrote it and as the device has it.
struct MsixControlInspection {
  bool enabled = false;
  bool function_masked = false;
  /// Empty if the device does not answer.
  std::optional<bool> enabled_in_device{};
  std::optional<bool> function_masked_in_device{};
};

/// Resets of a device since it was opened, by cause.
struct ResetCounts {
  uint64_t function_level = 0;     ///< the guest, through the PCI Express capability
  uint64_t advanced_features = 0;  ///< the guest, through the Advanced Features capability
  uint64_t left_d3hot = 0;         ///< the guest, by a change to D0 in which the state is lost
  uint64_t vm = 0;                 ///< the VMM: its VM was reset
};

/// Interrupts that were delivered since the device was opened, also by vectors that it has freed.
struct DeliveredCounts {
  uint64_t intx = 0;  ///< Intx::delivered (irq/intx.h)
  uint64_t msi = 0;   ///< of all vectors
  uint64_t msix = 0;
};

/// The guest memory that is mapped for DMA, for all devices of the VM that share the backend.
struct DmaInspection {
  Backend backend = Backend::Group;  ///< how the device was opened
  uint64_t maps = 0;
  uint64_t bytes = 0;
};

struct Inspection : InterruptCounters {
  Bdf device{};
  Bdf guest_address{};
  std::string name{};
  uint16_t vendor = 0;
  uint16_t device_id = 0;
  InterruptMode interrupt_mode = InterruptMode::None;
  std::optional<MsixControlInspection> msix_control{};  ///< empty if the guest sees no MSI-X
  DmaInspection dma{};
  std::vector<BarInspection> bars{};
  std::vector<VectorInspection> vectors{};
  DeliveredCounts delivered{};
  ResetCounts resets{};
  uint64_t audits = 0;         ///< checks of the device's interrupts
  uint64_t device_errors = 0;  ///< uncorrectable errors that the host reported
  /// Why the guest no longer has the device; empty while it has. Everything else is then as it was
  /// at the end.
  std::string detached{};
  /// Signals of a vector have not been taken, and it was too soon to call that damage.
  bool undecided = false;
  /// Register accesses that the kernel refused; the guest read all ones.
  uint64_t failed_accesses = 0;
};

}  // namespace passthru
