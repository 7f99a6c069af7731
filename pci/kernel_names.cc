// SPDX-License-Identifier: MIT
// class/net/eth0 -> ../../devices/pci0000:00/0000:00:1c.0/0000:02:00.0/net/eth0: the last PCI
// function in the path has the interface.
#include "pci/kernel_names.h"

#include <algorithm>
#include <map>
#include <regex>

#include "base/small_file.h"

namespace passthru {
namespace {

namespace fs = std::filesystem;
using Kind = KernelName::Kind;

// The function that a directory is below.
struct Place {
  Bdf bdf{};
  bool usb = false;
};

// A directory of a PCI function has an address with its segment as name; "usb1" is a root hub.
std::optional<Place> place_of(const fs::path& directory) {
  constexpr size_t kWithSegment = 12;
  static const std::regex root_hub("usb[0-9]+");
  std::optional<Place> place;
  for (const fs::path& part : directory.parent_path()) {
    const std::string text = part.string();
    const auto bdf = Bdf::parse(text);
    if (text.size() >= kWithSegment && bdf) {
      place = Place{.bdf = *bdf};
    } else if (place && std::regex_match(text, root_hub)) {
      place->usb = true;
    }
  }
  return place;
}

KernelName named(const std::string& name, Kind kind, const std::optional<Place>& place) {
  KernelName result{.name = name, .kind = kind};
  std::replace(result.name.begin(), result.name.end(), '!', '/');  // cciss!c0d0
  if (!place) return result;
  result.bdf = place->bdf;
  result.usb = place->usb;
  return result;
}

// The directories of a class by name. Not every entry of a class is a link to a device.
std::map<std::string, fs::path> class_directories(const Sysfs& sysfs, const char* of_class) {
  const fs::path all = sysfs.root() / "class" / of_class;
  std::map<std::string, fs::path> directories;
  for (const std::string& name : names_in(all).value_or(std::vector<std::string>())) {
    std::error_code error;
    const fs::path directory = fs::canonical(all / name, error);
    if (!error && fs::is_directory(directory, error)) directories.emplace(name, directory);
  }
  return directories;
}

void add_class(const Sysfs& sysfs, const char* of_class, Kind kind,
               std::vector<KernelName>& names) {
  for (const auto& [name, directory] : class_directories(sysfs, of_class))
    names.push_back(named(name, kind, place_of(directory)));
}

void add_blocks(const Sysfs& sysfs, std::vector<KernelName>& names) {
  const auto blocks = class_directories(sysfs, "block");
  std::map<std::string, std::vector<Place>> paths;  // by the disk above them
  for (const auto& [name, directory] : blocks) {
    const std::string disk = disk_above(name);
    const auto place = place_of(directory);
    if (!disk.empty() && place) paths[disk].push_back(*place);
  }
  for (const auto& [name, directory] : blocks) {
    if (!disk_above(name).empty()) continue;  // hidden: /dev does not have it
    std::error_code error;
    const bool partition = fs::exists(directory / "partition", error);
    const Kind kind = partition ? Kind::Partition : Kind::Disk;
    const auto above = paths.find(partition ? directory.parent_path().filename().string() : name);
    if (above == paths.end()) {
      names.push_back(named(name, kind, place_of(directory)));
      continue;
    }
    for (const Place& place : above->second) names.push_back(named(name, kind, place));
  }
}

}  // namespace

std::vector<KernelName> kernel_names(const Sysfs& sysfs) {
  std::vector<KernelName> names;
  add_class(sysfs, "net", Kind::Interface, names);
  add_class(sysfs, "nvme", Kind::Controller, names);
  add_blocks(sysfs, names);
  return names;
}

// nvme_set_disk_name names them nvme0c1n2 and nvme0n2.
std::string disk_above(const std::string& path) {
  static const std::regex pattern("(nvme[0-9]+)c[0-9]+(n[0-9]+)");
  std::smatch match;
  if (!std::regex_match(path, match, pattern)) return {};
  return match[1].str() + match[2].str();
}

}  // namespace passthru
