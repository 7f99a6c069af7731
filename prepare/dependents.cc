// SPDX-License-Identifier: MIT
// The walk follows links by name only and visits each block device once, so a loop of volumes ends.
#include "prepare/dependents.h"

#include <fmt/format.h>

#include <algorithm>
#include <sstream>
#include <string_view>
#include <vector>

#include "base/small_file.h"
#include "pci/kernel_names.h"

namespace passthru {
namespace {

namespace fs = std::filesystem;

// Adds the directories that a block device leads to. The mounts of an NVMe drive with several paths
// use the disk above them.
void follow(const Sysfs& sysfs, const std::string& name, const fs::path& block,
            std::vector<fs::path>& todo) {
  const fs::path all = sysfs.root() / "class/block";
  for (const std::string& holder : names_in(block / "holders").value_or(std::vector<std::string>()))
    todo.push_back(all / holder);
  if (const std::string disk = disk_above(name); !disk.empty()) todo.push_back(all / disk);
}

// Returns the node's name below /dev. Only some nodes have a DEVNAME that differs from their name.
std::string file_of_node(const std::string& name, const fs::path& directory) {
  constexpr std::string_view kKey = "DEVNAME=";
  std::istringstream lines(read_file(directory / "uevent").value_or(std::string()));
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with(kKey)) return line.substr(kKey.size());
  }
  std::string file = name;
  std::replace(file.begin(), file.end(), '!', '/');  // cciss!c0d0
  return file;
}

// Returns whether a person uses the input. The jacks of a sound card are inputs too, and report
// only switches.
bool is_for_people(const fs::path& input) {
  if (input.string().find("/sound/") != std::string::npos) return false;
  bool known = false;
  for (const char* events : {"key", "rel", "abs"}) {
    const std::string bits = first_line(input / "capabilities" / events);
    known = known || !bits.empty();
    if (bits.find_first_not_of("0 ") != bits.npos) return true;
  }
  return !known;
}

void add_dependent(const std::string& kind, const std::string& name, const fs::path& directory,
                   Dependent& found) {
  const bool card = name.starts_with("card") && name.find('-') == name.npos;  // card0-DP-1: a port
  if (kind == "net") found.interfaces.emplace(name, directory);
  if (kind == "graphics" || (kind == "drm" && card)) found.displays.emplace(name, directory);
  if (kind == "input" && name.starts_with("input") && is_for_people(directory))
    found.inputs.emplace(name, directory);
  if (kind.empty()) return;
  const std::string number = first_line(directory / "dev");
  if (number.empty()) return;
  found.nodes.push_back({.name = name,
                         .file = file_of_node(name, directory),
                         .number = number,
                         .block = kind == "block"});
}

// Adds real directories only: the target of each link in sysfs is found elsewhere.
void add_directories(const fs::path& in, std::vector<fs::path>& todo) {
  std::error_code error;
  for (fs::directory_iterator at(in, error), end; !error && at != end; at.increment(error)) {
    std::error_code gone;
    if (at->symlink_status(gone).type() == fs::file_type::directory) todo.push_back(at->path());
  }
}

}  // namespace

Result<Dependent> find_dependents(const Sysfs& sysfs, Bdf bdf, size_t max_directories) {
  Dependent carried;
  std::vector<fs::path> todo{sysfs.function_path(bdf)};
  for (size_t looked_at = 0; !todo.empty(); ++looked_at) {
    if (looked_at == max_directories) {
      return fail(E2BIG, "find its disks and network interfaces",
                  fmt::format("sysfs has more than {} directories for it", max_directories));
    }
    const fs::path directory = std::move(todo.back());
    todo.pop_back();
    const std::string kind = link_name(directory / "subsystem");
    const std::string name = directory.filename();
    if (kind == "block") {
      if (!carried.blocks.emplace(name, directory).second) continue;
      follow(sysfs, name, directory, todo);
    }
    add_dependent(kind, name, directory, carried);
    add_directories(directory, todo);
  }
  std::sort(carried.nodes.begin(), carried.nodes.end(),
            [](const DeviceNode& a, const DeviceNode& b) { return a.name < b.name; });
  return carried;
}

}  // namespace passthru
