// SPDX-License-Identifier: MIT
// Owns what a person or a program can ask about an assigned device: one plain struct, printed by
// the command, sent by the socket, compared by the tests.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "irq/forward/forward_stats.h"
#include "irq/msi_message.h"
#include "irq/msix_table.h"
#include "pci/bdf.h"

namespace passthru {

struct SpanInspection {
  uint64_t offset = 0;
  uint64_t size = 0;
  bool mapped = false;
  std::string why{};           ///< why it is trapped; empty when mapped
  uint64_t trapped_reads = 0;  ///< guest accesses that cost an exit, since the device was opened
  uint64_t trapped_writes = 0;
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
  /// Nothing where the device does not answer.
  std::optional<bool> enabled_in_device{};
  std::optional<bool> function_masked_in_device{};
};

struct VectorInspection {
  unsigned index = 0;
  /// What is wrong with it, if anything is: `words` of irq/verdict.h, and more of it, or nothing.
  std::string verdict{};
  std::string why{};
  bool damaged = false;  ///< the guest misses interrupts by it
  bool masked = true;    ///< by the guest, in this entry
  bool pending = false;
  bool bound = false;   ///< has an interrupt of the host
  std::string owner{};  ///< of its eventfd: "irqfd", "forwarder", "latch" or "none"
  MsiMessage guest_message{};
  /// The device's entry when the library last found it sound, if the host has not written it since;
  /// and what the device has there. Nothing where there is no interrupt of the host, or the table
  /// cannot be looked at.
  std::optional<MsixEntry> last_sound{};
  std::optional<MsixEntry> in_device{};
  bool device_pending = false;  ///< in the device's own pending bit array
  /// Why nothing is delivered though the guest wants it: its message is no interrupt. Empty
  /// otherwise.
  std::string unroutable{};
  /// Interrupts that were delivered since the device was opened: Delivery::delivered
  /// (irq/delivery.h).
  uint64_t delivered = 0;
  uint64_t restores = 0;  ///< times that its entry was restored
  uint64_t rearms = 0;    ///< times that it was armed again, because nobody took its signals
  uint64_t rebinds = 0;   ///< times that SET_IRQS was called again for it
  uint64_t latched = 0;   ///< times that it was found to have fired while it was masked
  /// What the forwarder has counted, in whatever times the vector passed there; none: it never did.
  std::optional<SourceStats> forwarded{};
  /// Nanoseconds that it was not live, for a mask of its own or of the function, while the guest
  /// had its interrupts enabled.
  uint64_t masked_ns = 0;
  std::string last_error{};  ///< what failed when last something did; empty: nothing ever
};

/// Resets of a device since it was opened, by who asked for them.
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

/// What of the guest's memory the device's IOMMU has, for all devices of the VM that were opened by
/// the same way.
struct DmaInspection {
  std::string backend{};  ///< how the device was opened: "cdev" or "group"
  uint64_t maps = 0;
  uint64_t bytes = 0;
};

struct Inspection {
  Bdf device{};
  Bdf guest_address{};
  std::string name{};
  uint16_t vendor = 0;
  uint16_t device_id = 0;
  std::string interrupt_mode{};                         ///< "none", "INTx", "MSI" or "MSI-X"
  std::optional<MsixControlInspection> msix_control{};  ///< none: the guest sees no MSI-X
  DmaInspection dma{};
  std::vector<BarInspection> bars{};
  std::vector<VectorInspection> vectors{};
  uint64_t set_irqs_calls = 0;
  DeliveredCounts delivered{};
  uint64_t restores = 0;          ///< of all vectors
  uint64_t rearms = 0;            ///< of all vectors
  uint64_t damages = 0;           ///< looks at the interrupts that found damage
  uint64_t refused_messages = 0;  ///< times that a vector became `unroutable`
  ResetCounts resets{};
  uint64_t audits = 0;         ///< looks at the interrupts of the device
  uint64_t device_errors = 0;  ///< uncorrectable errors that the host was told of
  /// Why the guest does not have the device any more; empty while it has. Everything else is then
  /// as it was at the end.
  std::string detached{};
  /// Signals of a vector have not been taken, and it was too soon to call that damage.
  bool undecided = false;
  uint64_t failed_accesses =
      0;  ///< register accesses that the kernel refused; the guest read all ones
};

}  // namespace passthru
