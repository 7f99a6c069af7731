// SPDX-License-Identifier: MIT
// PCI functions as sysfs shows them: ids, driver, IOMMU group, config space. Read-only:
// prepare/binding plans changes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "pci/bdf.h"

namespace passthru {

/// A bus of a segment.
struct BusNumber {
  uint32_t segment = 0;
  uint8_t number = 0;
  auto operator<=>(const BusNumber&) const = default;  // NOLINT(modernize-use-nullptr): its own 0
};

/// A bus behind a host bridge.
struct RootBus {
  BusNumber bus{};
  std::optional<Bdf> vmd{};  ///< the function that is its host bridge; nullopt: no PCI function
  bool operator==(const RootBus&) const = default;
};

/// The number of virtual functions of a physical function (SR-IOV).
struct VirtualFunctions {
  unsigned enabled = 0;   ///< each is now a PCI function of its own
  unsigned possible = 0;  ///< the maximum
  bool operator==(const VirtualFunctions&) const = default;
};

/// A PCI function as sysfs showed it at one moment.
struct PciFunction {
  Bdf bdf{};
  uint16_t vendor = 0;
  uint16_t device = 0;
  uint16_t subsystem_vendor = 0;
  uint16_t subsystem_device = 0;
  uint32_t class_code = 0;  ///< 24 bits: base class, subclass, programming interface
  uint8_t revision = 0;
  std::string driver{};           ///< empty: none
  std::string driver_override{};  ///< the only driver that may bind it; empty: any
  bool on_vfio = false;           ///< bound to vfio-pci or to a driver built on it
  std::optional<uint32_t> iommu_group{};
  std::optional<unsigned> numa_node{};
  bool bridge = false;
  std::optional<Bdf> physical_function{};               ///< set for a virtual function (SR-IOV)
  std::optional<VirtualFunctions> virtual_functions{};  ///< nullopt: the function has no SR-IOV
  /// In the order in which the kernel tries them: "flr", "bus"...
  std::vector<std::string> reset_methods{};
  /// At most the part that the caller asked for; without root 64 bytes. Empty in D3cold: a read
  /// would wake the function.
  std::vector<std::byte> config{};
  /// Why `config` lacks a part of the standard header, 64 bytes. Its operation is "read FILE".
  /// nullopt: the header is whole, or the function was not read because it is in D3cold.
  std::optional<Error> config_error{};
  std::string power_state{};     ///< "D0", "D3hot", "D3cold"...; empty: the kernel does not say
  std::string runtime_status{};  ///< of power management: "active", "suspended", "error"...
};

/// Returns why a function does not answer, as a sentence without a full stop. Empty if it answers,
/// sleeps as the kernel wants it to, or has a `config_error`.
[[nodiscard]] std::string silence_of(const PciFunction& function);

/// A member of an IOMMU group, which need not be a PCI function.
struct GroupMember {
  std::string name{};    ///< the BDF of a PCI function
  std::string driver{};  ///< empty: none
  bool on_vfio = false;
  bool bridge = false;
};

/// Returns the error for an address without a function (ENOENT).
[[nodiscard]] Error no_such_function(Bdf bdf);

/// How much of a function's config space is read. Some devices hang if registers that they do not
/// have are read (lspci(8)), so most callers leave out the extended part.
enum class ConfigPart {
  Conventional,  ///< the first 256 bytes
  Extended,      ///< all 4 KiB
};

/// A sysfs tree. Thread-safe. Nothing is cached.
class Sysfs {
 public:
  /// Tests give their own `root`.
  explicit Sysfs(std::filesystem::path root = "/sys") : root_(std::move(root)) {}

  /// Returns all PCI functions, sorted.
  ///
  /// Errors:
  /// - ENOENT: the kernel has no PCI.
  [[nodiscard]] Result<std::vector<Bdf>> functions() const;

  /// Reads a function. Does not wake it from D3cold.
  ///
  /// Errors:
  /// - ENOENT: the function does not exist.
  [[nodiscard]] Result<PciFunction> function(Bdf bdf,
                                             ConfigPart part = ConfigPart::Conventional) const;

  /// Returns the buses behind host bridges that have a function, sorted. All other buses are behind
  /// a bridge. Empty if sysfs does not show them.
  [[nodiscard]] std::vector<RootBus> root_buses() const;

  /// Returns the function that is the host bridge of this function's segment: a VMD, behind which
  /// drives have a segment of their own. Nothing for other functions.
  [[nodiscard]] std::optional<Bdf> vmd_of(Bdf bdf) const;

  /// Returns all members of an IOMMU group, sorted by name.
  ///
  /// Errors:
  /// - ENOENT: the group does not exist.
  [[nodiscard]] Result<std::vector<GroupMember>> group(uint32_t number) const;

  /// Returns whether any device of this machine is behind an IOMMU.
  [[nodiscard]] bool has_iommu() const;
  [[nodiscard]] bool has_driver(const std::string& driver) const;

  /// Returns the name of the device's own VFIO node below /dev/vfio/devices. Empty if it has no
  /// node: no VFIO driver is bound, or the kernel has only groups.
  [[nodiscard]] std::string cdev(Bdf bdf) const;
  /// Returns whether the kernel has the node of an IOMMU group, /dev/vfio/N. It exists if a VFIO
  /// driver is bound to a device of the group and VFIO was built with groups.
  [[nodiscard]] bool has_group_node(uint32_t group) const;
  /// Returns whether the kernel has iommufd.
  [[nodiscard]] bool has_iommufd() const;
  /// Returns the function whose own VFIO node has this number, "MAJOR:MINOR".
  [[nodiscard]] std::optional<Bdf> function_behind(const std::string& number) const;

  /// Return the directories of a function, of a driver (bind, unbind) and of the bus.
  [[nodiscard]] std::filesystem::path function_path(Bdf bdf) const;
  [[nodiscard]] std::filesystem::path driver_path(const std::string& driver) const;
  [[nodiscard]] std::filesystem::path bus_path() const { return root_ / "bus/pci"; }
  [[nodiscard]] const std::filesystem::path& root() const { return root_; }

 private:
  std::filesystem::path root_;
};

}  // namespace passthru
