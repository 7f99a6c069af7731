// SPDX-License-Identifier: MIT
// Owns a device's config space as the guest sees it: which bits are virtual, which are the
// device's, and what a write changes. It acts on nothing itself: what a write asks for comes out as
// a ConfigChange.
#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "mmap/bar_info.h"
#include "mmap/capabilities.h"
#include "mmap/config_bits.h"
#include "mmap/msix_placement.h"
#include "pci/msix_layout.h"
#include "vfio/device.h"

namespace passthru {

/// What ConfigSpace needs to know of a device beside its registers.
struct ConfigSource {
  std::shared_ptr<PhysicalConfig> registers{};
  uint32_t size = 256;  ///< bytes of config space: 256, or 4096 with PCI Express
  std::array<uint64_t, kBars> region_sizes{};  ///< bytes behind each BAR, 0: none
  unsigned msix_vectors = 0;                   ///< that the host can bind; 0 hides the capability
  unsigned msi_vectors = 0;
  uint64_t page_size = 4096;  ///< the host's
  std::string bdf{};          ///< for errors
};

struct ConfigOptions {
  bool msi = false;            ///< show the MSI capability
  bool intx = false;           ///< show the interrupt pin
  bool rom = true;             ///< show the expansion ROM
  uint64_t rom_size = 0;       ///< bytes of what stands in for the device's ROM; 0: nothing does
  MsixChoice msix{};           ///< where the guest finds the MSI-X table
  bool multifunction = false;  ///< the guest finds other functions in the same slot
  std::chrono::milliseconds response_timeout{0};  ///< for how long the device may answer all ones
};

/// How a guest resets its function through config space.
enum class GuestReset {
  FunctionLevel,     ///< Initiate Function Level Reset (PCIe 4.0, 7.5.3.4)
  AdvancedFeatures,  ///< the same on conventional PCI (PCI Advanced Capabilities ECN)
  LeftD3Hot,         ///< to D0, on a device that loses its state (No_Soft_Reset clear)
};

/// What one write of the guest changed, for the device to act upon.
struct ConfigChange {
  bool decode_changed = false;             ///< placement() differs from before the write
  std::optional<uint16_t> msix_control{};  ///< Message Control, when it differs from before
  bool msi_changed = false;                ///< msi() differs from before
  /// The device was not told: reset it through VFIO, then call ConfigSpace::reset().
  std::optional<GuestReset> reset_requested{};
  std::optional<unsigned>
      power_state{};  ///< the new D-state, 0 or 3 (1, 2 where the device has them)

 private:
  friend class ConfigSpace;
  ConfigBits::Undo before_{};
};

/// The MSI capability as the guest has written it; the guest's mask bits are 0 where it has none.
struct MsiRegisters {
  uint16_t control = 0;
  uint64_t address = 0;
  uint32_t data = 0;
  uint32_t mask = 0;
  bool operator==(const MsiRegisters&) const = default;
};

/// A function's config space. Not thread-safe: the device's lock covers it.
///
/// The device itself stays in D0 with memory and I/O decode on, whatever the guest writes: our own
/// mappings never fault, and the host can always look at the device. What the guest turns off
/// leaves the guest.
class ConfigSpace {
 public:
  static constexpr uint32_t kSize = 4096;

  static Result<std::unique_ptr<ConfigSpace>> create(const std::shared_ptr<VfioDevice>& device,
                                                     const ConfigOptions& options = {});
  /// The same over any registers. EINVAL: not a type 0 header, or MSI-X cannot be where it is
  /// wanted (ENOSPC: for lack of room). EIO: the device answers all ones for longer than
  /// `response_timeout`.
  static Result<std::unique_ptr<ConfigSpace>> create(ConfigSource source,
                                                     const ConfigOptions& options = {});

  /// `width` 1, 2 or 4 at any `offset`. What is not there, or what the device fails to read, is all
  /// ones.
  uint32_t read(uint32_t offset, unsigned width);
  /// Bytes that cannot be written are dropped. The device's own bits have been written on return.
  [[nodiscard]] ConfigChange write(uint32_t offset, unsigned width, uint32_t value);
  /// Puts the virtual bits back to what they were before the write that made `change`, which must
  /// have been the last one. The device's own bits stay written.
  void undo(const ConfigChange& change);
  /// Virtual bits as after power-on; in the device, decode on and bus mastering off. Call it after
  /// each reset of the device: the kernel restores the COMMAND that was there before.
  Result<void> reset();

  /// Where the BARs are now. Empty: decode off, not in D0, the address is 0 (nobody assigned it),
  /// or all its bits are ones (somebody is sizing it).
  [[nodiscard]] BarAddresses placement() const;
  /// As the guest sees them: larger or more than the device's, where MSI-X is elsewhere.
  [[nodiscard]] const BarInfos& bars() const { return shapes_; }
  [[nodiscard]] bool io(unsigned bar) const { return shapes_[bar].io; }

  /// COMMAND as the guest wrote it, as far as it is virtual: the decode bits.
  [[nodiscard]] uint16_t command() const;
  [[nodiscard]] unsigned power_state() const;

  /// The device's own. Checked: table and PBA lie within their BARs and do not overlap. Empty:
  /// none, or one that lies about its table and is hidden for that.
  [[nodiscard]] const std::optional<MsixLayout>& msix() const { return msix_; }
  /// Where the guest finds them; meaningless while msix() is empty.
  [[nodiscard]] const MsixPlacement& msix_placement() const { return msix_placement_; }
  [[nodiscard]] uint16_t msix_control() const;
  /// Empty where the guest sees no MSI.
  [[nodiscard]] std::optional<MsiRegisters> msi() const;
  /// Whether an access covers some of the MSI pending bits: `set_msi_pending` before it is read.
  [[nodiscard]] bool covers_msi_pending(uint32_t offset, unsigned width) const;
  void set_msi_pending(uint32_t bits);

  /// Every capability that the device has, and what the guest sees of it and why.
  [[nodiscard]] const std::vector<Capability>& capabilities() const { return capabilities_; }
  /// Accesses that the kernel refused.
  [[nodiscard]] uint64_t failed_accesses() const { return bits_.failed_accesses(); }

 private:
  using Snapshot = std::span<const std::byte>;
  /// What a function-level reset through a capability looks like; offset 0: the device has none
  /// there.
  struct ResetBit {
    uint32_t offset = 0;
    uint8_t mask = 0;
    GuestReset kind = GuestReset::FunctionLevel;
  };

  ConfigSpace(ConfigSource source, const ConfigOptions& options);

  // config_layout.cc: describes every bit, once.
  Result<void> describe(Snapshot config);
  void describe_header(Snapshot config);
  void shape_bars(Snapshot config);
  void describe_bars();
  void describe_rom();
  Result<void> place_msix_table();
  void decide_policies(Snapshot config);
  bool accept_msix(Snapshot config);
  void describe_capability(Snapshot config, const Capability& capability);
  void describe_pm(Snapshot config, uint32_t offset);
  void describe_msi(Snapshot config, uint32_t offset);
  void describe_msix(uint32_t offset);
  void link_visible(bool has_list);
  void link_visible_extended(Snapshot config);

  [[nodiscard]] std::optional<uint64_t> decoded(unsigned bar) const;
  [[nodiscard]] uint32_t msi_pending_offset() const;
  void settle_power_state(unsigned before, ConfigChange& change);
  Result<void> force_decode();

  const ConfigSource source_;
  const ConfigOptions options_;
  ConfigBits bits_;
  BarInfos shapes_{};
  std::vector<Capability> capabilities_;
  std::optional<MsixLayout> msix_;
  MsixPlacement msix_placement_{};
  uint16_t forced_command_ = 0;  ///< decode bits that are always on in the device
  uint32_t pm_ = 0;              ///< offsets of capabilities that the guest sees; 0: none
  uint32_t msi_ = 0;
  bool msi_64bit_ = false;
  bool msi_maskable_ = false;
  unsigned d_states_ = 0b1001;      ///< bit n: the device has Dn
  bool loses_state_in_d3_ = false;  ///< No_Soft_Reset is clear (PCI PM 1.2, 3.2.4)
  std::array<ResetBit, 2> reset_bits_{};
};

}  // namespace passthru
