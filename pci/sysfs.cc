// SPDX-License-Identifier: MIT
// The attributes are described in Documentation/ABI/testing/sysfs-bus-pci.
#include "pci/sysfs.h"

#include <linux/pci_regs.h>

#include <algorithm>
#include <charconv>
#include <span>
#include <sstream>

#include "base/small_file.h"
#include "pci/capability_list.h"

namespace passthru {
namespace {

namespace fs = std::filesystem;

template <class T>
std::optional<T> number(std::string_view text, int base) {
  if (base == 16 && text.starts_with("0x")) text.remove_prefix(2);
  T value{};
  const auto [stop, error] = std::from_chars(text.data(), text.data() + text.size(), value, base);
  if (error != std::errc{} || stop != text.data() + text.size()) return std::nullopt;
  return value;
}

// Returns 0 for a missing or unreadable attribute: ids only name the device, no decision needs
// them.
template <class T>
T hex(const fs::path& file) {
  return number<T>(first_line(file), 16).value_or(T{0});
}

Result<std::vector<std::byte>> read_config(const fs::path& device, size_t bytes) {
  const std::string text = PASSTHRU_TRY(read_file(device / "config", bytes));
  const std::span<const std::byte> config = std::as_bytes(std::span(text));
  return std::vector<std::byte>(config.begin(), config.end());
}

// Reads config space, or sets `config_error`.
void fill_config(PciFunction& function, const fs::path& device, size_t bytes) {
  auto config = read_config(device, bytes);
  if (!config) {
    function.config_error = std::move(config).error();
    return;
  }
  function.config = std::move(*config);
  const size_t size = function.config.size();
  if (size >= PCI_STD_HEADER_SIZEOF) return;
  function.config_error =
      Error{.code = ENODATA,
            .operation = "read " + (device / "config").string(),
            .cause = size == 0 ? "the file is empty"
                               : "the file ends after " + std::to_string(size) + " bytes"};
}

// The kernel shows both attributes for a function with SR-IOV, and neither for other functions.
std::optional<VirtualFunctions> read_virtual_functions(const fs::path& device) {
  const auto possible = number<unsigned>(first_line(device / "sriov_totalvfs"), 10);
  if (!possible) return std::nullopt;
  return VirtualFunctions{
      .enabled = number<unsigned>(first_line(device / "sriov_numvfs"), 10).value_or(0),
      .possible = *possible};
}

// Since Linux 6.1, drivers built on vfio-pci (mlx5_vfio_pci...) register a vfio-dev, which
// identifies them.
bool is_on_vfio(const fs::path& device, const std::string& driver) {
  std::error_code error;
  return driver == "vfio-pci" || (!driver.empty() && fs::exists(device / "vfio-dev", error));
}

constexpr const char* kD3Cold = "D3cold";

bool has_bridge_class(uint32_t class_code) {
  constexpr uint32_t kBridges = 0x06;
  constexpr uint32_t kPciToPci = 0x0604;
  constexpr uint32_t kCardBus = 0x0607;
  return class_code >> 16 == kBridges &&
         (class_code >> 8 == kPciToPci || class_code >> 8 == kCardBus);
}

// Without the header, the class tells bridges from other functions.
bool is_bridge(const std::vector<std::byte>& config, uint32_t class_code) {
  return config.size() > PCI_HEADER_TYPE ? passthru::is_bridge(config)
                                         : has_bridge_class(class_code);
}

}  // namespace

std::string silence_of(const PciFunction& function) {
  if (function.power_state == kD3Cold) {
    return function.runtime_status == "suspended" ? ""
                                                  : "it does not answer: the kernel cannot wake it "
                                                    "from D3cold";
  }
  // Some bits of Status are 0 in every function.
  const bool was_read = function.config.size() >= PCI_STATUS + sizeof(uint16_t);
  return was_read && config_u16(function.config, PCI_STATUS) == 0xffff
             ? "it does not answer: its config space reads as all ones"
             : "";
}

Error no_such_function(Bdf bdf) {
  return {.code = ENOENT,
          .operation = "find the device",
          .device = bdf.str(),
          .cause = "this machine has no PCI function at this address",
          .advice = "'passthru list' shows the devices of this machine"};
}

fs::path Sysfs::function_path(Bdf bdf) const {
  return bus_path() / "devices" / bdf.str();
}

fs::path Sysfs::driver_path(const std::string& driver) const {
  return bus_path() / "drivers" / driver;
}

bool Sysfs::has_driver(const std::string& driver) const {
  std::error_code error;
  return fs::is_directory(driver_path(driver), error);
}

bool Sysfs::has_iommu() const {
  const auto groups = names_in(root_ / "kernel/iommu_groups");
  return groups && !groups->empty();
}

// vfio-dev/vfioN exists since Linux 6.1; it has a number only if the device has a node.
std::string Sysfs::cdev(Bdf bdf) const {
  const fs::path directory = function_path(bdf) / "vfio-dev";
  for (const std::string& name : names_in(directory).value_or(std::vector<std::string>{})) {
    std::error_code error;
    if (fs::exists(directory / name / "dev", error)) return name;
  }
  return {};
}

bool Sysfs::has_group_node(uint32_t group) const {
  std::error_code error;
  return fs::exists(root_ / "class/vfio" / std::to_string(group), error);
}

bool Sysfs::has_iommufd() const {
  std::error_code error;
  return fs::exists(root_ / "class/misc/iommu", error);
}

// dev/char/511:0 -> ../../devices/pci0000:00/0000:00:02.0/vfio-dev/vfio0
std::optional<Bdf> Sysfs::function_behind(const std::string& number) const {
  std::error_code error;
  const fs::path node = fs::read_symlink(root_ / "dev/char" / number, error);
  if (node.parent_path().filename() != "vfio-dev") return std::nullopt;
  const auto bdf = Bdf::parse(node.parent_path().parent_path().filename().string());
  if (!bdf) return std::nullopt;
  return *bdf;
}

Result<std::vector<Bdf>> Sysfs::functions() const {
  const fs::path directory = bus_path() / "devices";
  const auto names = names_in(directory);
  if (!names) return fail(ENOENT, "list " + directory.string(), "sysfs shows no PCI bus");
  std::vector<Bdf> functions;
  for (const std::string& name : *names) {
    if (auto bdf = Bdf::parse(name)) functions.push_back(*bdf);
  }
  std::sort(functions.begin(), functions.end());
  return functions;
}

Result<PciFunction> Sysfs::function(Bdf bdf, ConfigPart part) const {
  const fs::path device = function_path(bdf);
  if (std::error_code error; !fs::exists(device, error)) {
    return tl::unexpected(no_such_function(bdf));
  }
  PciFunction function{
      .bdf = bdf,
      .vendor = hex<uint16_t>(device / "vendor"),
      .device = hex<uint16_t>(device / "device"),
      .subsystem_vendor = hex<uint16_t>(device / "subsystem_vendor"),
      .subsystem_device = hex<uint16_t>(device / "subsystem_device"),
      .class_code = hex<uint32_t>(device / "class"),
      .revision = hex<uint8_t>(device / "revision"),
      .driver = link_name(device / "driver"),
      .driver_override = first_line(device / "driver_override"),
      .iommu_group = number<uint32_t>(link_name(device / "iommu_group"), 10),
      .numa_node = number<unsigned>(first_line(device / "numa_node"), 10),  // -1: none
      .power_state = first_line(device / "power_state"),
      .runtime_status = first_line(device / "power/runtime_status")};
  if (function.power_state != kD3Cold) {
    const bool extended = part == ConfigPart::Extended;
    fill_config(function, device, extended ? PCI_CFG_SPACE_EXP_SIZE : PCI_CFG_SPACE_SIZE);
  }
  if (function.driver_override == "(null)") function.driver_override.clear();
  function.on_vfio = is_on_vfio(device, function.driver);
  function.bridge = is_bridge(function.config, function.class_code);
  if (auto physical = Bdf::parse(link_name(device / "physfn")))
    function.physical_function = *physical;
  function.virtual_functions = read_virtual_functions(device);
  std::istringstream methods(first_line(device / "reset_method"));
  for (std::string method; methods >> method;) function.reset_methods.push_back(method);
  return function;
}

// A function on a root bus: bus/pci/devices/0000:00:05.0 ->
// ../../../devices/pci0000:00/0000:00:05.0. A function behind a bridge has that bridge's directory
// in between. The directory of a root bus behind a VMD is in the directory of the VMD.
std::vector<RootBus> Sysfs::root_buses() const {
  const fs::path directory = bus_path() / "devices";
  std::vector<RootBus> buses;
  for (const std::string& name : names_in(directory).value_or(std::vector<std::string>{})) {
    std::error_code error;
    const fs::path owner = fs::read_symlink(directory / name, error).parent_path();
    const std::string bus = owner.filename().string();
    if (!bus.starts_with("pci")) continue;
    const auto first = Bdf::parse(bus.substr(3) + ":00.0");
    if (!first) continue;
    const auto vmd = Bdf::parse(owner.parent_path().filename().string());
    buses.push_back(
        {.bus = {first->segment, first->bus}, .vmd = vmd ? std::optional(*vmd) : std::nullopt});
  }
  std::sort(buses.begin(), buses.end(),
            [](const RootBus& a, const RootBus& b) { return a.bus < b.bus; });
  buses.erase(std::unique(buses.begin(), buses.end()), buses.end());
  return buses;
}

// bus/pci/devices/10000:e1:00.0 ->
// ../../../devices/pci0000:00/0000:00:0e.0/pci10000:e0/10000:e0:06.0/10000:e1:00.0
std::optional<Bdf> Sysfs::vmd_of(Bdf bdf) const {
  std::error_code error;
  const fs::path place = fs::canonical(function_path(bdf), error);
  std::optional<Bdf> above;
  std::optional<Bdf> vmd;
  for (const fs::path& part : place) {
    if (part.string().starts_with("pci")) vmd = above;
    const auto function = Bdf::parse(part.string());
    above = function ? std::optional(*function) : std::nullopt;
  }
  return vmd;
}

Result<std::vector<GroupMember>> Sysfs::group(uint32_t number) const {
  const fs::path directory = root_ / "kernel/iommu_groups" / std::to_string(number) / "devices";
  const auto names = names_in(directory);
  if (!names) return fail(ENOENT, "list " + directory.string(), "the IOMMU group does not exist");
  std::vector<GroupMember> members;
  for (const std::string& name : *names) {
    const fs::path device = directory / name;
    GroupMember member{.name = name, .driver = link_name(device / "driver")};
    member.on_vfio = is_on_vfio(device, member.driver);
    // A read of config space would wake a device from D3cold.
    std::vector<std::byte> header;
    if (first_line(device / "power_state") != kD3Cold)
      header = read_config(device, PCI_STD_HEADER_SIZEOF).value_or(header);
    member.bridge = is_bridge(header, hex<uint32_t>(device / "class"));
    members.push_back(std::move(member));
  }
  return members;
}

}  // namespace passthru
