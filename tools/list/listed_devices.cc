// SPDX-License-Identifier: MIT
#include "tools/list/listed_devices.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <limits>
#include <tuple>

#include "prepare/in_use.h"
#include "tools/printable.h"
#include "tools/table.h"

namespace passthru::tools {
namespace {

std::string ids_text(const PciFunction& function) {
  return fmt::format("{:04x}:{:04x}", function.vendor, function.device);
}

// Returns the names that people use: a disk's name contains that of its controller.
std::vector<std::string> used_names(const ListedDevice& device) {
  std::vector<std::string> names = device.interfaces;
  const auto& disks = device.disks.empty() ? device.controllers : device.disks;
  names.insert(names.end(), disks.begin(), disks.end());
  return names;
}

bool has_word(const ListedDevice& device, std::string word) {
  const std::string below = "/dev/";
  if (word.starts_with(below)) word.erase(0, below.size());
  const auto has = [&word](const std::string& text) { return contains_text(text, word); };
  const PciFunction& function = device.function;
  const auto any = [&has](const std::vector<std::string>& names) {
    return std::any_of(names.begin(), names.end(), has);
  };
  return has(function.bdf.str()) || has(ids_text(function)) || has(device.name) ||
         has(device.class_name) || has(function.driver) || any(device.interfaces) ||
         any(device.controllers) || any(device.disks);
}

// "0108": two, four or six digits; the first digit of every class but 0xff is decimal.
bool is_of_class(const ListedDevice& device, const std::string& word) {
  if (contains_text(device.class_name, word)) return true;
  const bool number = word.size() % 2 == 0 && std::isdigit(static_cast<unsigned char>(word[0]));
  if (!number) return false;
  const std::string code = fmt::format("{:06x}", device.function.class_code);
  return word.size() <= code.size() && contains_text(code.substr(0, word.size()), word);
}

std::string text_key(const ListedDevice& device, ListOrder order) {
  if (order == ListOrder::Name) return device.name;
  if (order == ListOrder::Class) return device.class_name;
  return order == ListOrder::Driver ? device.function.driver : std::string();
}

uint64_t number_key(const ListedDevice& device, ListOrder order) {
  constexpr uint64_t kLast = std::numeric_limits<uint64_t>::max();
  const PciFunction& function = device.function;
  if (order == ListOrder::Group) return function.iommu_group ? *function.iommu_group : kLast;
  if (order == ListOrder::Numa) return function.numa_node ? *function.numa_node : kLast;
  return 0;
}

/// Returns the name, with a physical function in front: a terminal cuts off the end of a name.
std::string name_of(const ListedDevice& device) {
  const auto& physical = device.function.physical_function;
  return physical ? fmt::format("VF of {}: {}", physical->str(), device.name) : device.name;
}

std::string vectors(const ListedDevice& device) {
  if (device.msix) return std::to_string(device.msix->vectors);
  return device.function.config.size() <= 64 ? "?" : "-";
}

std::string or_dash(const std::string& text) {
  return text.empty() ? "-" : printable(text);
}

template <class T>
std::string or_dash(const std::optional<T>& number) {
  return number ? std::to_string(*number) : "-";
}

}  // namespace

void add_kernel_names(ListedDevice& device, const std::vector<KernelName>& names) {
  for (const KernelName& each : names) {
    if (each.bdf != device.function.bdf || each.usb) continue;
    if (each.kind == KernelName::Kind::Interface) device.interfaces.push_back(each.name);
    if (each.kind == KernelName::Kind::Controller) device.controllers.push_back(each.name);
    if (each.kind == KernelName::Kind::Disk) device.disks.push_back(each.name);
  }
}

bool passes(const ListedDevice& device, const ListFilter& filter) {
  const std::string& driver = device.function.driver;
  if (filter.assignable && device.obstacle) return false;
  if (!filter.driver.empty() && filter.driver != (driver.empty() ? "none" : driver)) return false;
  if (!filter.of_class.empty() && !is_of_class(device, filter.of_class)) return false;
  return std::all_of(filter.words.begin(), filter.words.end(),
                     [&device](const std::string& word) { return has_word(device, word); });
}

const std::vector<std::string>& list_orders() {
  static const std::vector<std::string> names = {"address", "name",  "class",
                                                 "driver",  "group", "numa"};
  return names;
}

ListOrder list_order(const std::string& name) {
  const auto& names = list_orders();
  const auto found = std::find(names.begin(), names.end(), name);
  return found == names.end() ? ListOrder::Address : static_cast<ListOrder>(found - names.begin());
}

void sort_devices(std::vector<ListedDevice>& devices, ListOrder order) {
  const auto key = [order](const ListedDevice& device) {
    return std::tuple(number_key(device, order), text_key(device, order), device.function.bdf);
  };
  std::sort(devices.begin(), devices.end(),
            [&key](const ListedDevice& a, const ListedDevice& b) { return key(a) < key(b); });
}

std::string list_text(const std::vector<ListedDevice>& devices, std::optional<size_t> width) {
  Table table({{.heading = "DEVICE"},
               {.heading = "ID", .rank = 5},
               {.heading = "CLASS", .least = 8, .rank = 4},
               {.heading = "NAME", .least = 20},
               {.heading = "DRIVER", .least = 8, .rank = 2},
               {.heading = "USED AS", .least = 8, .rank = 1},
               {.heading = "GROUP", .right = true, .rank = 3},
               {.heading = "NUMA", .right = true, .rank = 7},
               {.heading = "MSI-X", .right = true, .rank = 6},
               {.heading = "ASSIGNABLE", .least = 12}});
  for (const ListedDevice& device : devices) {
    const PciFunction& function = device.function;
    table.add({function.bdf.str(), ids_text(function), printable(device.class_name),
               printable(name_of(device)), or_dash(function.driver),
               or_dash(first_few(used_names(device))), or_dash(function.iommu_group),
               or_dash(function.numa_node), vectors(device),
               device.obstacle ? printable("no: " + device.obstacle->cause) : "yes"});
  }
  return table.str(width);
}

}  // namespace passthru::tools
