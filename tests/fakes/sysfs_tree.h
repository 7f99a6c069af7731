// SPDX-License-Identifier: MIT
// Owns a sysfs of PCI functions in a temporary directory, and a driver core that acts on what is
// written there as Linux does, or refuses it where a test says so.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "pci/sysfs.h"
#include "prepare/change_plan.h"

namespace passthru {

class SysfsTree {
 public:
  struct Function {
    const char* bdf = "0000:00:02.0";
    uint16_t vendor = 0x1b36;
    uint16_t device = 0x0010;
    uint32_t class_code = 0x010802;
    std::string driver{};
    std::optional<uint32_t> group = 0;
    bool bridge = false;
    bool vfio_dev = false;  ///< bound to a driver that registered with VFIO
    std::string cdev{};     ///< its own node then, "vfio0"; empty: it has none
    std::vector<std::byte>
        config{};  ///< where empty: 256 bytes with vendor, device and header type
  };

  SysfsTree();
  ~SysfsTree();
  SysfsTree(const SysfsTree&) = delete;
  SysfsTree& operator=(const SysfsTree&) = delete;

  SysfsTree& add(const Function& function);
  /// The kernel has iommufd.
  SysfsTree& add_iommufd() { return put("class/misc/iommu/dev", "10:127\n"); }
  SysfsTree& remove(const std::string& bdf);
  SysfsTree& add_driver(const std::string& driver);
  SysfsTree& remove_driver(const std::string& driver);
  /// An attribute of a function, or any file below the root.
  SysfsTree& put(const std::filesystem::path& below_root, const std::string& content);
  /// A link, to another place below the root or to any text.
  SysfsTree& link(const std::filesystem::path& below_root, const std::filesystem::path& target);
  /// A directory that says of which class it is: "block", "net". `below_device` is where it is
  /// below the function's own; its name is its last part. Seen in class/CLASS as well.
  SysfsTree& add_child(const std::string& bdf, const std::filesystem::path& below_device,
                       const std::string& of_class);

  [[nodiscard]] const std::filesystem::path& root() const { return root_; }
  [[nodiscard]] std::filesystem::path records() const { return root_ / "run/passthru"; }
  [[nodiscard]] Sysfs sysfs() const { return Sysfs(root_); }
  [[nodiscard]] std::string driver_of(const std::string& bdf) const;

  /// The driver core's answer to a change. What it does not know is done to the files as it is.
  Result<void> apply(const FileChange& change);
  /// From now on writes to the file whose path ends so fail.
  void refuse(const std::string& path_end, int code) { refusals_[path_end] = code; }
  /// What was asked for, refused or not, in order: "file name < value", below the root.
  [[nodiscard]] const std::vector<std::string>& asked() const { return asked_; }

 private:
  Result<void> attach(const std::string& bdf, const std::string& driver);
  Result<void> detach(const std::string& bdf, const std::string& driver);

  std::filesystem::path root_;
  std::map<std::string, std::string> default_driver_;  // by BDF: the one that knows the ids
  std::map<std::string, int> refusals_;
  std::vector<std::string> asked_;
};

}  // namespace passthru
