// SPDX-License-Identifier: MIT
// The rules of the driver core that binding depends on (drivers/base/bus.c, dd.c).
#include "tests/fakes/sysfs_tree.h"

#include <fmt/format.h>

#include <cstdlib>
#include <fstream>

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

SysfsTree& SysfsTree::add_driver(const std::string& driver) {
  fs::create_directories(root_ / "bus/pci/drivers" / driver);
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
    default_driver_[function.bdf] = function.driver;
  }
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
  return *this;
}

std::string SysfsTree::driver_of(const std::string& bdf) const {
  std::error_code error;
  return fs::read_symlink(root_ / "bus/pci/devices" / bdf / "driver", error).filename().string();
}

Result<void> SysfsTree::attach(const std::string& bdf, const std::string& driver) {
  const fs::path device = root_ / "bus/pci/devices" / bdf;
  if (!fs::exists(device)) return fail(ENODEV, "bind");
  if (!driver_of(bdf).empty()) return fail(EBUSY, "bind");
  std::string override_line;
  std::getline(std::ifstream(device / "driver_override"), override_line);
  const bool overridden = !override_line.empty() && override_line != "(null)";
  // A driver matches by driver_override if it is set, otherwise by its ids. vfio-pci has no ids of
  // its own.
  if (driver != (overridden ? override_line : default_driver_[bdf])) return fail(ENODEV, "bind");
  fs::create_symlink(root_ / "bus/pci/drivers" / driver, device / "driver");
  return {};
}

Result<void> SysfsTree::detach(const std::string& bdf, const std::string& driver) {
  if (driver_of(bdf) != driver) return fail(ENODEV, "unbind");
  fs::remove(root_ / "bus/pci/devices" / bdf / "driver");
  return {};
}

Result<void> SysfsTree::apply(const FileChange& change) {
  const std::string file = change.file.string();
  asked_.push_back(fs::relative(change.file, root_).string() + " < " + change.value);
  for (const auto& [path_end, code] : refusals_) {
    if (file.ends_with(path_end)) return fail(code, "write " + file);
  }
  const std::string attribute = change.file.filename().string();
  const std::string owner = change.file.parent_path().filename().string();
  if (attribute == "drivers_probe") {
    // The write succeeds even if no driver matches.
    ignore(attach(change.value, default_driver_[change.value]), "as the kernel does");
    return {};
  }
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
