// SPDX-License-Identifier: MIT
// The rules of the driver core that binding depends on (drivers/base/bus.c, dd.c).
#include "tests/fakes/sysfs_tree.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <sstream>

namespace passthru {
namespace {

namespace fs = std::filesystem;

void write_text(const fs::path& file, const std::string& text) {
  fs::create_directories(file.parent_path());
  std::ofstream(file, std::ios::binary) << text;
}

std::vector<std::byte> header(const SysfsTree::Function& function) {
  std::vector<std::byte> config(256);
  config[0] = static_cast<std::byte>(function.vendor);
  config[1] = static_cast<std::byte>(function.vendor >> 8);
  config[2] = static_cast<std::byte>(function.device);
  config[3] = static_cast<std::byte>(function.device >> 8);
  config[0x0e] = static_cast<std::byte>(function.bridge ? 1 : 0);
  return config;
}

}  // namespace

SysfsTree::SysfsTree() {
  std::string name = (fs::temp_directory_path() / "passthru-sysfs-XXXXXX").string();
  if (::mkdtemp(name.data()) == nullptr) std::abort();
  root_ = name;
  fs::permissions(root_, fs::perms(0755));  // also for a test that gave up root
  fs::create_directories(root_ / "bus/pci/devices");
  fs::create_directories(root_ / "bus/pci/drivers");
  fs::create_directories(root_ / "kernel/iommu_groups");
}

SysfsTree::~SysfsTree() {
  std::error_code error;
  fs::remove_all(root_, error);
}

SysfsTree& SysfsTree::put(const fs::path& below_root, const std::string& content) {
  write_text(root_ / below_root, content);
  return *this;
}

SysfsTree& SysfsTree::link(const fs::path& below_root, const fs::path& target) {
  fs::create_directories((root_ / below_root).parent_path());
  fs::create_symlink(target.is_absolute() ? target : root_ / target, root_ / below_root);
  return *this;
}

SysfsTree& SysfsTree::add_child(const std::string& bdf, const fs::path& below_device,
                                const std::string& of_class) {
  const fs::path directory = fs::path("bus/pci/devices") / bdf / below_device;
  link(directory / "subsystem", fs::path("class") / of_class);
  return link(fs::path("class") / of_class / below_device.filename(), directory);
}

SysfsTree& SysfsTree::add_node(const std::string& bdf, const fs::path& below_device,
                               const std::string& of_class, const std::string& number,
                               const std::string& below_dev) {
  const fs::path directory = fs::path("bus/pci/devices") / bdf / below_device;
  add_child(bdf, below_device, of_class).put(directory / "dev", number + "\n");
  if (below_dev.empty()) return *this;
  return put(directory / "uevent", "MAJOR=1\nDEVNAME=" + below_dev + "\n");
}

SysfsTree& SysfsTree::add_process(int pid, const std::string& command,
                                  const std::vector<std::string>& open_files) {
  const fs::path process = fs::path("run/proc") / std::to_string(pid);
  std::string arguments = command + " ";
  std::replace(arguments.begin(), arguments.end(), ' ', '\0');
  const std::string name = fs::path(command.substr(0, command.find(' '))).filename().string();
  put(process / "cmdline", arguments).put(process / "comm", name + "\n");
  put(process / "stat", fmt::format("{} ({}) S 1 1 1\n", pid, name));
  fs::create_directories(root_ / process / "fd");
  for (size_t i = 0; i < open_files.size(); ++i)
    fs::create_symlink(open_files[i], root_ / process / "fd" / std::to_string(i));
  return *this;
}

SysfsTree& SysfsTree::add_driver(const std::string& driver) {
  fs::create_directories(root_ / "bus/pci/drivers" / driver);
  return *this;
}

SysfsTree& SysfsTree::add_vfio_driver(const std::string& driver) {
  vfio_drivers_.insert(driver);
  return add_driver(driver);
}

SysfsTree& SysfsTree::add_dynamic_id(const std::string& driver, uint16_t vendor, uint16_t device) {
  dynamic_ids_[driver].insert({vendor, device});
  return *this;
}

SysfsTree& SysfsTree::remove_driver(const std::string& driver) {
  fs::remove_all(root_ / "bus/pci/drivers" / driver);
  return *this;
}

SysfsTree& SysfsTree::add(const Function& function) {
  const fs::path device = root_ / "bus/pci/devices" / function.bdf;
  const fs::path below_its_bus = fs::path("devices/pci0000:00") / function.bdf;
  fs::create_directories(root_ / below_its_bus);
  fs::create_symlink("../../.." / below_its_bus, device);
  write_text(device / "vendor", fmt::format("0x{:04x}\n", function.vendor));
  write_text(device / "device", fmt::format("0x{:04x}\n", function.device));
  write_text(device / "subsystem_vendor", "0x1af4\n");
  write_text(device / "subsystem_device", "0x1100\n");
  write_text(device / "class", fmt::format("0x{:06x}\n", function.class_code));
  write_text(device / "revision", "0x02\n");
  write_text(device / "numa_node", "-1\n");
  write_text(device / "driver_override", "(null)\n");
  const std::vector<std::byte> config =
      function.config.empty() ? header(function) : function.config;
  write_text(device / "config", {reinterpret_cast<const char*>(config.data()), config.size()});
  if (function.vfio_dev) fs::create_directories(device / "vfio-dev/vfio0");
  if (!function.cdev.empty()) {
    const std::string number = "511:" + function.cdev.substr(4);
    write_text(device / "vfio-dev" / function.cdev / "dev", number + "\n");
    fs::create_directories(root_ / "dev/char");
    fs::create_symlink("../.." / below_its_bus / "vfio-dev" / function.cdev,
                       root_ / "dev/char" / number);
  }
  if (!function.driver.empty()) {
    add_driver(function.driver);
    fs::create_symlink(root_ / "bus/pci/drivers" / function.driver, device / "driver");
    if (function.driver != "vfio-pci" && !function.vfio_dev)
      default_driver_[function.bdf] = function.driver;
    if (function.vfio_dev) vfio_drivers_.insert(function.driver);
  }
  ids_[function.bdf] = {function.vendor, function.device};
  if (function.group) {
    const fs::path group = root_ / "kernel/iommu_groups" / std::to_string(*function.group);
    fs::create_directories(group / "devices");
    fs::create_symlink(device, group / "devices" / function.bdf);
    fs::create_symlink(group, device / "iommu_group");
    if (function.vfio_dev) {
      fs::create_directories(root_ / "class/vfio" / std::to_string(*function.group));
    }
  }
  return *this;
}

SysfsTree& SysfsTree::remove(const std::string& bdf) {
  const fs::path device = root_ / "bus/pci/devices" / bdf;
  std::error_code no_group;
  fs::remove(fs::read_symlink(device / "iommu_group", no_group) / "devices" / bdf);
  fs::remove_all(fs::canonical(device));
  fs::remove(device);
  default_driver_.erase(bdf);
  ids_.erase(bdf);
  return *this;
}

std::string SysfsTree::driver_of(const std::string& bdf) const {
  std::error_code error;
  return fs::read_symlink(root_ / "bus/pci/devices" / bdf / "driver", error).filename().string();
}

std::string SysfsTree::override_of(const std::string& bdf) const {
  std::string line;
  std::getline(std::ifstream(root_ / "bus/pci/devices" / bdf / "driver_override"), line);
  return line == "(null)" ? "" : line;
}

// A driver matches by driver_override if it is set, otherwise by its ids. vfio-pci has no ids of
// its own.
bool SysfsTree::matches(const std::string& bdf, const std::string& driver) const {
  if (const std::string named = override_of(bdf); !named.empty()) return driver == named;
  const auto own = default_driver_.find(bdf);
  if (own != default_driver_.end() && own->second == driver) return true;
  const auto added = dynamic_ids_.find(driver);
  return added != dynamic_ids_.end() && added->second.contains(ids_.at(bdf));
}

// Drivers with dynamic ids come first, as vfio-pci does if it was loaded before the host's driver.
void SysfsTree::probe(const std::string& bdf) {
  std::vector<std::string> candidates;
  for (const auto& [driver, ids] : dynamic_ids_) candidates.push_back(driver);
  if (const auto own = default_driver_.find(bdf); own != default_driver_.end())
    candidates.push_back(own->second);
  candidates.push_back(override_of(bdf));
  for (const std::string& driver : candidates) {
    if (fs::exists(root_ / "bus/pci/drivers" / driver) && attach(bdf, driver)) return;
  }
}

Result<void> SysfsTree::attach(const std::string& bdf, const std::string& driver) {
  const fs::path device = root_ / "bus/pci/devices" / bdf;
  if (driver.empty() || !fs::exists(device)) return fail(ENODEV, "bind");
  if (!driver_of(bdf).empty()) return fail(EBUSY, "bind");
  if (!matches(bdf, driver)) return fail(ENODEV, "bind");
  fs::create_symlink(root_ / "bus/pci/drivers" / driver, device / "driver");
  if (vfio_drivers_.contains(driver)) fs::create_directories(device / "vfio-dev/vfio0");
  return {};
}

Result<void> SysfsTree::detach(const std::string& bdf, const std::string& driver) {
  if (driver.empty() || driver_of(bdf) != driver) return fail(ENODEV, "unbind");
  fs::remove(root_ / "bus/pci/devices" / bdf / "driver");
  if (vfio_drivers_.contains(driver)) fs::remove_all(root_ / "bus/pci/devices" / bdf / "vfio-dev");
  return {};
}

// "1b36 0010". A new id is tried on all devices without a driver.
Result<void> SysfsTree::write_id(const std::string& driver, const FileChange& change) {
  Ids ids{};
  std::istringstream words(change.value);
  words >> std::hex >> ids.vendor >> ids.device;
  if (change.file.filename() == "remove_id") {
    if (dynamic_ids_[driver].erase(ids) == 0) return fail(ENODEV, "write remove_id");
    return {};
  }
  dynamic_ids_[driver].insert(ids);
  for (const auto& [bdf, of_device] : ids_) {
    if (driver_of(bdf).empty()) probe(bdf);
  }
  return {};
}

Result<void> SysfsTree::apply(const FileChange& change) {
  const std::string file = change.file.string();
  asked_.push_back(fs::relative(change.file, root_).string() + " < " + change.value);
  for (const auto& [path_end, code] : refusals_) {
    if (code != 0 && file.ends_with(path_end)) return fail(code, "write " + file);
  }
  const std::string attribute = change.file.filename().string();
  const std::string owner = change.file.parent_path().filename().string();
  if (attribute == "drivers_probe") {
    probe(change.value);
    return {};  // even if no driver matches
  }
  if (attribute == "new_id" || attribute == "remove_id") return write_id(owner, change);
  if (attribute == "bind") {
    if (!fs::exists(change.file.parent_path())) return fail(ENOENT, "write " + file);
    return attach(change.value, owner);
  }
  if (attribute == "unbind")
    return detach(change.value, owner == "driver" ? driver_of(change.value) : owner);
  if (attribute == "driver_override") {
    write_text(change.file, change.value.empty() ? "(null)\n" : change.value + "\n");
    return {};
  }
  return apply_to_files(change);
}

}  // namespace passthru
