// SPDX-License-Identifier: MIT
#include "prepare/node_uses.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <sstream>
#include <string>

#include "base/printable.h"
#include "base/small_file.h"

namespace passthru {
namespace {

namespace fs = std::filesystem;

// A line of /proc/consoles: "ttyS0                -W- (EC p a)    4:64".
std::set<std::string> console_numbers(const fs::path& proc) {
  std::set<std::string> numbers;
  std::istringstream lines(read_file(proc / "consoles").value_or(std::string()));
  for (std::string line; std::getline(lines, line);) {
    const size_t last = line.rfind(' ');
    if (last != line.npos) numbers.insert(line.substr(last + 1));
  }
  return numbers;
}

// The drivers of the virtual consoles (Documentation/driver-api/console.rst).
struct VirtualConsoles {
  bool known = false;                        // the kernel has virtual consoles
  std::vector<std::string> frame_buffers{};  // directories of those that draw on a frame buffer
  bool vga_text = false;
};

VirtualConsoles virtual_consoles(const Sysfs& sysfs) {
  VirtualConsoles consoles;
  const fs::path all = sysfs.root() / "class/vtconsole";
  for (const std::string& name : names_in(all).value_or(std::vector<std::string>())) {
    consoles.known = true;
    if (first_line(all / name / "bind") != "1") continue;
    const std::string driver = first_line(all / name / "name");  // "(M) frame buffer device"
    if (driver.find("frame buffer") != driver.npos) consoles.frame_buffers.push_back(name);
    consoles.vga_text = consoles.vga_text || driver.find("VGA") != driver.npos;
  }
  return consoles;
}

std::string joined_names(const std::map<std::string, fs::path>& named) {
  std::vector<std::string> names;
  names.reserve(named.size());
  for (const auto& [name, path] : named) names.push_back(printable(name));
  return first_few(names);
}

// Consoles draw on the first frame buffer. It is of the function itself, or of the firmware, which
// draws on the display of the boot. Linux shows the firmware's frame buffer below a platform
// device.
bool shows_first_frame_buffer(const Sysfs& sysfs, const Dependent& dependent, bool of_boot) {
  if (dependent.displays.contains("fb0")) return true;
  std::error_code error;
  const std::string fb0 = fs::canonical(sysfs.root() / "class/graphics/fb0", error).string();
  return of_boot && fb0.find("/pci") == fb0.npos;
}

void add_display_uses(const Sysfs& sysfs, Bdf bdf, const Dependent& dependent,
                      std::vector<DeviceUse>& uses) {
  const bool of_boot = first_line(sysfs.function_path(bdf) / "boot_vga") == "1";
  const VirtualConsoles consoles = virtual_consoles(sysfs);
  if (shows_first_frame_buffer(sysfs, dependent, of_boot)) {
    for (const std::string& console : consoles.frame_buffers) {
      uses.push_back({"the text console is shown on its frame buffer",
                      fmt::format("echo 0 > /sys/class/vtconsole/{}/bind", console)});
    }
  }
  if (!of_boot) return;
  if (consoles.vga_text) uses.push_back({"the text console is shown on it, in VGA text mode", ""});
  if (!consoles.known && !dependent.displays.empty()) {
    uses.push_back({fmt::format("it is the display of the boot (boot_vga), with {}",
                                joined_names(dependent.displays)),
                    ""});
  }
}

void add_input_uses(const Dependent& dependent, std::vector<DeviceUse>& uses) {
  for (const auto& [name, path] : dependent.inputs) {
    const std::string model = first_line(path / "name");
    uses.push_back({printable(fmt::format("input device {}{} is attached to it", name,
                                          model.empty() ? "" : " (" + model + ")")),
                    ""});
  }
}

// "Device Minor: \t 0" in the driver's file about the GPU; the number of the major is fixed.
std::vector<DeviceNode> nvidia_nodes(const fs::path& proc, Bdf bdf) {
  constexpr std::string_view kKey = "Device Minor:";
  const fs::path file = proc / "driver/nvidia/gpus" / bdf.str() / "information";
  std::istringstream lines(read_file(file).value_or(std::string()));
  for (std::string line; std::getline(lines, line);) {
    if (!line.starts_with(kKey)) continue;
    const size_t digits = line.find_first_of("0123456789");
    if (digits == line.npos) continue;
    const std::string minor = line.substr(digits, line.find_last_of("0123456789") + 1 - digits);
    return {{.name = "nvidia" + minor, .file = "nvidia" + minor, .number = "195:" + minor}};
  }
  return {};
}

// A keyboard is opened by the session manager; ending that would not free the keyboard.
bool is_input_node(const DeviceNode& node) {
  return node.file.starts_with("input/");
}

DeviceUse use_of_node(const OpenNode& open) {
  std::vector<std::string> processes;
  std::string remedy;
  for (const Process& process : open.processes) {
    processes.push_back(process.str());
    const std::string ending = is_input_node(open.node) ? "" : process.remedy();
    if (!ending.empty()) remedy += (remedy.empty() ? "" : " && ") + ending;
  }
  return {fmt::format("{} is open in {}", printable(open.node.name), first_few(processes)), remedy};
}

}  // namespace

Result<std::vector<DeviceUse>> node_uses(const Sysfs& sysfs, const fs::path& proc, Bdf bdf,
                                         const Dependent& dependent) {
  std::vector<DeviceUse> uses;
  add_display_uses(sysfs, bdf, dependent, uses);
  add_input_uses(dependent, uses);
  const std::set<std::string> consoles = console_numbers(proc);
  for (const DeviceNode& node : dependent.nodes) {
    if (!node.block && consoles.contains(node.number))
      uses.push_back({printable(node.name) + " is a console of the kernel", ""});
  }
  std::vector<DeviceNode> nodes = dependent.nodes;
  for (DeviceNode& node : nvidia_nodes(proc, bdf)) nodes.push_back(std::move(node));
  for (const OpenNode& open : PASSTHRU_TRY(find_open_nodes(proc, nodes)))
    uses.push_back(use_of_node(open));
  return uses;
}

}  // namespace passthru
