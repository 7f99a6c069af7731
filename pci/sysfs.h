// SPDX-License-Identifier: MIT
// Owns what the host tells about its PCI functions in sysfs: ids, driver, IOMMU group, config
// space. Reads only; what is to be changed there is planned by prepare/binding. Any room may use
// it.
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
  uint16_t segment = 0;
  uint8_t number = 0;
  auto operator<=>(const BusNumber&) const = default;  // NOLINT(modernize-use-nullptr): its own 0
};

/// How many virtual functions a physical function has (SR-IOV).
struct VirtualFunctions {
  unsigned enabled = 0;   ///< each of them is a function of its own now
  unsigned possible = 0;  ///< as many as it can have
  bool operator==(const VirtualFunctions&) const = default;
};

/// A PCI function as sysfs describes it, at one moment.
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
  std::optional<Bdf> physical_function{};               ///< whose virtual function it is (SR-IOV)
  std::optional<VirtualFunctions> virtual_functions{};  ///< empty: it cannot have any
  std::vector<std::string>
      reset_methods{};              ///< in the order in which the kernel tries them: "flr", "bus"..
  std::vector<std::byte> config{};  ///< 256 or 4,096 bytes; only 64 for who is not root
};

/// A member of an IOMMU group. Not every one has to be a PCI function.
struct GroupMember {
  std::string name{};    ///< the BDF of a PCI function
  std::string driver{};  ///< empty: none
  bool on_vfio = false;
  bool bridge = false;
};

/// What is said of a function that is not there, or not any more (ENOENT).
[[nodiscard]] Error no_such_function(Bdf bdf);

/// One sysfs. Thread-safe; nothing is cached.
class Sysfs {
 public:
  /// Tests give a `root` of their own.
  explicit Sysfs(std::filesystem::path root = "/sys") : root_(std::move(root)) {}

  /// All PCI functions, ordered. ENOENT where the kernel has no PCI.
  [[nodiscard]] Result<std::vector<Bdf>> functions() const;

  /// ENOENT: no such function.
  [[nodiscard]] Result<PciFunction> function(Bdf bdf) const;

  /// The buses that host bridges lead to and that have a function, ordered; all others are behind a
  /// bridge. Empty where the kernel does not say.
  [[nodiscard]] std::vector<BusNumber> root_buses() const;

  /// All members of an IOMMU group, ordered by name. ENOENT: no such group.
  [[nodiscard]] Result<std::vector<GroupMember>> group(uint32_t number) const;

  /// Whether any device of this machine is behind an IOMMU.
  [[nodiscard]] bool has_iommu() const;
  [[nodiscard]] bool has_driver(const std::string& driver) const;

  /// The name of the node that VFIO gives the function itself, below /dev/vfio/devices; empty where
  /// it has none (it is on no driver of VFIO's, or the kernel has groups only).
  [[nodiscard]] std::string cdev(Bdf bdf) const;
  /// Whether the kernel has a node for an IOMMU group, /dev/vfio/N: a device of it is on a driver
  /// of VFIO's, and VFIO was not built without groups.
  [[nodiscard]] bool has_group_node(uint32_t group) const;
  /// Whether the kernel has iommufd.
  [[nodiscard]] bool has_iommufd() const;
  /// The function whose own node has this number, "MAJOR:MINOR".
  [[nodiscard]] std::optional<Bdf> function_behind(const std::string& number) const;

  /// Where a function's attributes are, a driver's (bind, unbind), and the bus's own.
  [[nodiscard]] std::filesystem::path function_path(Bdf bdf) const;
  [[nodiscard]] std::filesystem::path driver_path(const std::string& driver) const;
  [[nodiscard]] std::filesystem::path bus_path() const { return root_ / "bus/pci"; }
  [[nodiscard]] const std::filesystem::path& root() const { return root_; }

 private:
  std::filesystem::path root_;
};

}  // namespace passthru
