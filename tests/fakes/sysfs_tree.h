// SPDX-License-Identifier: MIT
// A sysfs of PCI functions in a temporary directory. Its driver core acts on writes as Linux does,
// or refuses them if a test asks for that.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "pci/bdf.h"
#include "pci/sysfs.h"
#include "prepare/change_plan.h"

namespace passthru {

/// The address of a function that a test adds without an address.
inline constexpr Bdf kDevice{.device = 2};

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
    bool vfio_dev = false;            ///< bound to a driver that registered with VFIO
    std::string cdev{};               ///< its own node, such as "vfio0"; empty: no node
    std::vector<std::byte> config{};  ///< if empty: 256 bytes with vendor, device and header type
  };

  SysfsTree();
  ~SysfsTree();
  SysfsTree(const SysfsTree&) = delete;
  SysfsTree& operator=(const SysfsTree&) = delete;

  SysfsTree& add(const Function& function);
  /// Makes the kernel support iommufd.
  SysfsTree& add_iommufd() { return put("class/misc/iommu/dev", "10:127\n"); }
  SysfsTree& remove(const std::string& bdf);
  SysfsTree& add_driver(const std::string& driver);
  /// Adds a VFIO driver: a device that it has gets a vfio-dev.
  SysfsTree& add_vfio_driver(const std::string& driver);
  /// Makes a driver match more devices, as `ids=` of vfio-pci and a write to its new_id do.
  SysfsTree& add_dynamic_id(const std::string& driver, uint16_t vendor, uint16_t device);
  SysfsTree& remove_driver(const std::string& driver);
  /// Writes an attribute of a function, or any file below the root.
  SysfsTree& put(const std::filesystem::path& below_root, const std::string& content);
  /// Makes a link, to another place below the root or to any text.
  SysfsTree& link(const std::filesystem::path& below_root, const std::filesystem::path& target);
  /// Makes a directory with a class, such as "block" or "net". `below_device` is its path below the
  /// function's directory; the last part is its name. It also appears in class/CLASS.
  SysfsTree& add_child(const std::string& bdf, const std::filesystem::path& below_device,
                       const std::string& of_class);
  /// Makes a directory as above, with a device number and a name below /dev.
  SysfsTree& add_node(const std::string& bdf, const std::filesystem::path& below_device,
                      const std::string& of_class, const std::string& number,
                      const std::string& below_dev = {});
  /// Makes a process in run/proc. `command` has its arguments separated by blanks, and `open_files`
  /// are the targets of its descriptors.
  SysfsTree& add_process(int pid, const std::string& command,
                         const std::vector<std::string>& open_files);

  [[nodiscard]] const std::filesystem::path& root() const { return root_; }
  [[nodiscard]] std::filesystem::path records() const { return root_ / "run/passthru"; }
  [[nodiscard]] Sysfs sysfs() const { return Sysfs(root_); }
  [[nodiscard]] std::string driver_of(const std::string& bdf) const;

  /// Applies a change as the driver core would. Changes that it does not know are written to the
  /// files.
  Result<void> apply(const FileChange& change);
  /// Makes writes fail if the path of the file ends with `path_end`. 0: they work again.
  void refuse(const std::string& path_end, int code) { refusals_[path_end] = code; }
  /// Returns the requested changes in order, including refused changes: "file name < value", below
  /// the root.
  [[nodiscard]] const std::vector<std::string>& asked() const { return asked_; }

 private:
  struct Ids {
    uint16_t vendor = 0;
    uint16_t device = 0;
    auto operator<=>(const Ids&) const = default;
  };

  [[nodiscard]] std::string override_of(const std::string& bdf) const;
  [[nodiscard]] bool matches(const std::string& bdf, const std::string& driver) const;
  void probe(const std::string& bdf);
  Result<void> attach(const std::string& bdf, const std::string& driver);
  Result<void> detach(const std::string& bdf, const std::string& driver);
  Result<void> write_id(const std::string& driver, const FileChange& change);

  std::filesystem::path root_;
  std::map<std::string, std::string> default_driver_;  // by BDF: the driver whose ids match
  std::map<std::string, Ids> ids_;                     // by BDF
  std::map<std::string, std::set<Ids>> dynamic_ids_;   // by driver
  std::set<std::string> vfio_drivers_;
  std::map<std::string, int> refusals_;
  std::vector<std::string> asked_;
};

}  // namespace passthru
