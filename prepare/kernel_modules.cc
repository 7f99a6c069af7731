// SPDX-License-Identifier: MIT
// The form of an alias is in the kernel's scripts/mod/file2alias.c (do_pci_entry):
// "vfio_pci:v000015B3d0000101Esv*sd*bc*sc*i*".
#include "prepare/kernel_modules.h"

#include <fmt/format.h>
#include <fnmatch.h>
#include <sys/utsname.h>

#include <algorithm>
#include <sstream>
#include <tuple>

#include "base/small_file.h"

namespace passthru {
namespace {

constexpr size_t kMaxList = size_t{8} << 20;

std::string normal_name(std::string_view module) {
  std::string name(module);
  std::replace(name.begin(), name.end(), '-', '_');
  return name;
}

std::string alias_of(const PciFunction& function, KernelModules::Alias alias) {
  return fmt::format("{}:v{:08X}d{:08X}sv{:08X}sd{:08X}bc{:02X}sc{:02X}i{:02X}",
                     alias == KernelModules::Alias::Pci ? "pci" : "vfio_pci", function.vendor,
                     function.device, function.subsystem_vendor, function.subsystem_device,
                     function.class_code >> 16 & 0xff, function.class_code >> 8 & 0xff,
                     function.class_code & 0xff);
}

struct Offer {
  long wildcards = 0;
  std::string module{};
};

// Offers the module if the pattern matches. Most patterns of the list are of other buses.
void consider(const std::string& pattern, std::string_view module, const std::string& alias,
              std::vector<Offer>& offers) {
  const size_t bus = alias.find(':') + 1;
  if (pattern.compare(0, bus, alias, 0, bus) != 0) return;
  if (::fnmatch(pattern.c_str(), alias.c_str(), 0) != 0) return;
  offers.push_back({std::count(pattern.begin(), pattern.end(), '*'), std::string(module)});
}

// Lines of modules.alias: "alias PATTERN MODULE".
void consider_modules(const std::string& list, const std::string& alias,
                      std::vector<Offer>& offers) {
  std::istringstream lines(list);
  for (std::string line; std::getline(lines, line);) {
    std::istringstream words(line);
    std::string word;
    std::string pattern;
    std::string module;
    if (words >> word >> pattern >> module && word == "alias")
      consider(pattern, module, alias, offers);
  }
}

// modules.builtin.modinfo: "MODULE.alias=PATTERN", each with a null byte behind it.
void consider_builtin(const std::string& list, const std::string& alias,
                      std::vector<Offer>& offers) {
  constexpr std::string_view kAlias = ".alias=";
  std::istringstream entries(list);
  for (std::string entry; std::getline(entries, entry, '\0');) {
    const size_t at = entry.find(kAlias);
    if (at == entry.npos) continue;
    consider(entry.substr(at + kAlias.size()), std::string_view(entry).substr(0, at), alias,
             offers);
  }
}

// Lines of modules.dep and modules.builtin: "kernel/drivers/vfio/pci/vfio-pci.ko.xz: ...".
bool lists_module(const std::string& list, std::string_view module) {
  std::istringstream lines(list);
  for (std::string line; std::getline(lines, line);) {
    const std::string path = line.substr(0, line.find(':'));
    const std::string file = path.substr(path.rfind('/') + 1);
    const size_t ending = file.find(".ko");
    if (ending != file.npos && same_module(file.substr(0, ending), module)) return true;
  }
  return false;
}

std::string directory_of_running_kernel() {
  utsname name{};
  return ::uname(&name) == 0 ? fmt::format("/lib/modules/{}", &name.release[0]) : "/lib/modules";
}

}  // namespace

bool same_module(std::string_view a, std::string_view b) {
  return normal_name(a) == normal_name(b);
}

bool is_vfio_name(std::string_view driver) {
  return normal_name(driver).ends_with("vfio_pci");
}

KernelModules::KernelModules() : directory_(directory_of_running_kernel()) {}

std::optional<std::vector<std::string>> KernelModules::serving(const PciFunction& function,
                                                               Alias alias) const {
  const auto list = read_file(directory_ / "modules.alias", kMaxList);
  if (!list) return std::nullopt;
  const auto builtin = read_file(directory_ / "modules.builtin.modinfo", kMaxList);
  std::vector<Offer> offers;
  consider_modules(*list, alias_of(function, alias), offers);
  if (builtin) consider_builtin(*builtin, alias_of(function, alias), offers);
  std::stable_sort(offers.begin(), offers.end(), [](const Offer& a, const Offer& b) {
    return std::tie(a.wildcards, a.module) < std::tie(b.wildcards, b.module);
  });
  std::vector<std::string> modules;
  for (Offer& offer : offers) {
    if (std::find(modules.begin(), modules.end(), offer.module) == modules.end())
      modules.push_back(std::move(offer.module));
  }
  return modules;
}

std::string KernelModules::variant_driver(const PciFunction& function) const {
  const auto modules = serving(function, Alias::VfioPci);
  if (!modules || modules->empty() || same_module(modules->front(), "vfio-pci")) return {};
  return modules->front();
}

std::optional<bool> KernelModules::has(std::string_view module) const {
  const auto loadable = read_file(directory_ / "modules.dep", kMaxList);
  const auto builtin = read_file(directory_ / "modules.builtin", kMaxList);
  if (!loadable && !builtin) return std::nullopt;
  return (loadable && lists_module(*loadable, module)) ||
         (builtin && lists_module(*builtin, module));
}

}  // namespace passthru
