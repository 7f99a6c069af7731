// SPDX-License-Identifier: MIT
// The devices of `passthru list`: which of them are wanted, their order, and their table. Pure.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "pci/kernel_names.h"
#include "pci/msix_layout.h"
#include "pci/sysfs.h"

namespace passthru::tools {

struct ListedDevice {
  PciFunction function{};
  std::string name{};
  std::string class_name{};
  std::optional<MsixLayout> msix{};
  std::optional<Error> obstacle{};         ///< why it cannot be assigned
  std::vector<std::string> interfaces{};   ///< "eth0"
  std::vector<std::string> controllers{};  ///< "nvme0"
  std::vector<std::string> disks{};        ///< "nvme0n1", without partitions
};

/// Adds the names of the kernel that belong to the device. Leaves out its USB devices.
void add_kernel_names(ListedDevice& device, const std::vector<KernelName>& names);

struct ListFilter {
  /// Each must be part of the address, the ids, a name, the class or the driver.
  std::vector<std::string> words{};
  std::string of_class{};  ///< part of the class's name, or its number: "02", "0108", "010802"
  std::string driver{};    ///< the whole name; "none": no driver
  bool assignable = false;
};

/// Returns whether the filter lets the device pass. An empty filter lets all pass.
bool passes(const ListedDevice& device, const ListFilter& filter);

enum class ListOrder { Address, Name, Class, Driver, Group, Numa };

/// Returns the values of --sort, in the order of `ListOrder`.
const std::vector<std::string>& list_orders();
/// Returns the order with this name, or the order by address.
ListOrder list_order(const std::string& name);

/// Sorts by the key, then by address. Devices without a group or a node are last.
void sort_devices(std::vector<ListedDevice>& devices, ListOrder order);

/// Returns the table. With `width`, columns are cut or left out so that it fits.
std::string list_text(const std::vector<ListedDevice>& devices, std::optional<size_t> width);

}  // namespace passthru::tools
