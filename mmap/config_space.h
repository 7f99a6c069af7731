// SPDX-License-Identifier: MIT
// The config space of a device as the guest sees it: the virtual bits, the device's bits, and the
// effect of a write. Effects beyond config space are returned as a ConfigChange.
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

/// The facts about a device that ConfigSpace needs besides its registers.
struct ConfigSource {
  std::shared_ptr<PhysicalConfig> registers{};
  uint32_t size = 256;  ///< bytes of config space: 256, or 4096 with PCI Express
  RegionSizes region_sizes{};
  unsigned msix_vectors = 0;  ///< that the guest can have; 0 hides the capability
  unsigned msi_vectors = 0;   ///< likewise
  uint64_t page_size = 4096;  ///< the host's
  std::string bdf{};          ///< for errors
};

struct ConfigOptions {
  bool msi = false;            ///< show the MSI capability
  bool intx = false;           ///< show the interrupt pin
  bool rom = true;             ///< show the expansion ROM
  uint64_t rom_size = 0;       ///< bytes of the file that replaces the device's ROM; 0: no file
  MsixChoice msix{};           ///< where the guest finds the MSI-X table
  bool multifunction = false;  ///< the guest finds other functions in the same slot
  bool on_root_bus = false;    ///< hide the features that need a port above the function
  bool resets = true;          ///< the guest can reset its function; otherwise hide how
  /// The device runs for a guest already: bus mastering and the other bits of COMMAND stay.
  bool running = false;
  std::chrono::milliseconds response_timeout{0};  ///< how long the device may answer all ones
};

/// How a guest resets its function through config space.
enum class GuestReset {
  FunctionLevel,     ///< Initiate Function Level Reset (PCIe 4.0, 7.5.3.4)
  AdvancedFeatures,  ///< the same on conventional PCI (PCI Advanced Capabilities ECN)
  LeftD3Hot,         ///< to D0, on a device that loses its state (No_Soft_Reset clear)
};

/// The changes that one write of the guest made, for the device to apply.
struct ConfigChange {
  bool decode_changed = false;             ///< placement() differs from before the write
  std::optional<uint16_t> msix_control{};  ///< Message Control, when it differs from before
  bool msi_changed = false;                ///< msi() differs from before
  /// The device has not seen the request. Reset it through VFIO, then call ConfigSpace::reset().
  std::optional<GuestReset> reset_requested{};
  std::optional<unsigned> power_state{};  ///< the new D-state, 0 or 3 (1, 2 if the device has them)

 private:
  friend class ConfigSpace;
  ConfigBits::Undo before_{};
};

/// The MSI capability as the guest wrote it. `mask` is 0 if the capability has no mask bits.
struct MsiRegisters {
  uint16_t control = 0;
  uint64_t address = 0;
  uint32_t data = 0;
  uint32_t mask = 0;
  bool operator==(const MsiRegisters&) const = default;
};

/// The config space of a function. Not thread-safe: the device's lock protects it.
///
/// The device itself stays in D0 with memory and I/O decode on, whatever the guest writes. So our
/// own mappings never fault, and the host can always read the device. If the guest turns decode
/// off, the BARs leave the guest.
class ConfigSpace {
 public:
  static constexpr uint32_t kSize = 4096;

  static Result<std::unique_ptr<ConfigSpace>> create(const std::shared_ptr<VfioDevice>& device,
                                                     const ConfigOptions& options = {});
  /// Creates a config space over any registers; the other overload uses those of `device`.
  ///
  /// Errors:
  /// - EINVAL: the header is not type 0, or MSI-X cannot be in the chosen place.
  /// - ENOSPC: the chosen BAR has no room for MSI-X.
  /// - EIO: the device answers all ones for longer than `response_timeout`.
  static Result<std::unique_ptr<ConfigSpace>> create(ConfigSource source,
                                                     const ConfigOptions& options = {});

  /// Reads `width` (1, 2 or 4) bytes at any `offset`. Bytes that do not exist, or that the device
  /// fails to read, are all ones.
  uint32_t read(uint32_t offset, unsigned width);
  /// Writes `width` bytes. Drops bytes that cannot be written. On return the device's own bits are
  /// written.
  [[nodiscard]] ConfigChange write(uint32_t offset, unsigned width, uint32_t value);
  /// Restores the virtual bits to their values before the write that made `change`. It must have
  /// been the last write. The device's own bits stay written.
  void undo(const ConfigChange& change);
  /// Sets the virtual bits as after power-on; in the device, sets decode on and bus mastering off.
  /// Call it after each reset of the device: the kernel restores the earlier COMMAND register.
  Result<void> reset();

  /// Returns the virtual bits, for `load`.
  [[nodiscard]] const ConfigBits::Bytes& saved() const { return bits_.values(); }
  /// Sets the virtual bits as the guest's own writes would. Does not access the device. Call it
  /// before the guest does; what changed follows from `placement`, `power_state`, `msix_control`
  /// and `msi`.
  ///
  /// Errors:
  /// - EINVAL: the device does not have the D-state. Nothing changes.
  Result<void> load(const ConfigBits::Bytes& bytes);
  /// Sets the virtual bits as after power-on. Does not access the device.
  void forget() { bits_.reset(); }

  /// Returns where the BARs are now. An address is empty in these cases:
  /// - decode is off, or the function is not in D0.
  /// - the address is 0: it is not assigned.
  /// - all bits of the address are ones: the guest is sizing the BAR.
  [[nodiscard]] BarAddresses placement() const;
  /// Returns the BARs as the guest sees them. If MSI-X is relocated, a BAR is larger than the
  /// device's or additional.
  [[nodiscard]] const BarInfos& bars() const { return shapes_; }
  [[nodiscard]] bool io(unsigned bar) const { return shapes_[bar].io; }

  /// Returns the virtual bits of COMMAND as the guest wrote them: the decode bits.
  [[nodiscard]] uint16_t command() const;
  [[nodiscard]] unsigned power_state() const;

  /// Returns the device's own MSI-X layout, as `usable_msix` returns it: with all its vectors.
  /// Empty if the device has no MSI-X that the guest can use: then the capability is hidden.
  [[nodiscard]] const std::optional<MsixLayout>& msix() const { return msix_; }
  /// Returns where the guest finds table and PBA. Meaningless while msix() is empty.
  [[nodiscard]] const MsixPlacement& msix_placement() const { return msix_placement_; }
  [[nodiscard]] uint16_t msix_control() const;
  /// Empty if the guest sees no MSI.
  [[nodiscard]] std::optional<MsiRegisters> msi() const;
  /// Returns whether the MSI capability has mask bits.
  [[nodiscard]] bool msi_maskable() const { return msi_maskable_; }
  /// Returns whether an access covers MSI pending bits. If so, call `set_msi_pending` before the
  /// read.
  [[nodiscard]] bool covers_msi_pending(uint32_t offset, unsigned width) const;
  void set_msi_pending(uint32_t bits);

  /// Returns every capability of the device, with the guest's view of it and the reason.
  [[nodiscard]] const std::vector<Capability>& capabilities() const { return capabilities_; }
  /// Returns how many accesses the kernel refused.
  [[nodiscard]] uint64_t failed_accesses() const { return bits_.failed_accesses(); }

 private:
  using Snapshot = std::span<const std::byte>;
  /// The bit of a capability that requests a function-level reset. Offset 0: the device does not
  /// have it.
  struct ResetBit {
    uint32_t offset = 0;
    uint8_t mask = 0;
    GuestReset kind = GuestReset::FunctionLevel;
  };

  ConfigSpace(ConfigSource source, const ConfigOptions& options);

  // config_space_layout.cc: describes every bit, once.
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
  [[nodiscard]] uint32_t multiple_messages(uint16_t control) const;
  void describe_msix(uint32_t offset);
  void describe_express(Snapshot config, const Capability& capability);
  void hide_port_features(Snapshot config, uint32_t offset);
  void link_visible(bool has_list);
  void link_visible_extended(Snapshot config);

  [[nodiscard]] std::optional<uint64_t> decoded(unsigned bar) const;
  [[nodiscard]] uint32_t msi_pending_offset() const;
  void settle_power_state(unsigned before, ConfigChange& change);
  Result<void> force_decode();
  Result<void> keep_decode();

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
