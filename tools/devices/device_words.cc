// SPDX-License-Identifier: MIT
#include "tools/devices/device_words.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <optional>

#include "pci/pci_names.h"
#include "prepare/in_use.h"
#include "tools/devices/nearest.h"
#include "tools/printable.h"

namespace passthru::tools {
namespace {

constexpr std::string_view kDevDirectory = "/dev/";
constexpr const char* kListAdvice = "'passthru list' shows the devices of this machine";

Error refusal(std::string_view word, std::string cause, std::string advice) {
  return {.code = EINVAL,
          .operation = fmt::format("find the device '{}'", printable(word)),
          .cause = std::move(cause),
          .advice = std::move(advice)};
}

struct Ids {
  uint16_t vendor = 0;
  uint16_t device = 0;
};

std::optional<uint16_t> four_digits(std::string_view text) {
  constexpr size_t kDigits = 4;
  uint16_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, 16);
  const bool whole = error == std::errc{} && end == text.data() + text.size();
  return whole && text.size() == kDigits ? std::optional(value) : std::nullopt;
}

// "8086:10d3".
std::optional<Ids> ids_of(std::string_view word) {
  const size_t colon = word.find(':');
  if (colon == std::string_view::npos) return std::nullopt;
  const auto vendor = four_digits(word.substr(0, colon));
  const auto device = four_digits(word.substr(colon + 1));
  if (!vendor || !device) return std::nullopt;
  return Ids{.vendor = *vendor, .device = *device};
}

std::string described(const KnownDevices& known, Bdf bdf) {
  const auto function = std::find_if(known.functions.begin(), known.functions.end(),
                                     [bdf](const auto& each) { return each.bdf == bdf; });
  if (function == known.functions.end()) return bdf.str();
  return fmt::format("{} ({})", bdf.str(), printable(function->name));
}

// Returns the only candidate, or the error that names all. `candidates` is not empty.
Result<Bdf> only(const KnownDevices& known, std::string_view word, std::vector<Bdf> candidates) {
  std::sort(candidates.begin(), candidates.end());
  candidates.erase(std::unique(candidates.begin(), candidates.end()), candidates.end());
  if (candidates.size() == 1) return candidates.front();
  std::vector<std::string> texts;
  texts.reserve(candidates.size());
  for (const Bdf bdf : candidates) texts.push_back(described(known, bdf));
  return tl::unexpected(
      refusal(word, fmt::format("{} devices match: {}", candidates.size(), first_few(texts)),
              fmt::format("Name one of them by its address, like {}", candidates.front().str())));
}

Result<Bdf> with_ids(const KnownDevices& known, std::string_view word, Ids ids) {
  std::vector<Bdf> candidates;
  for (const auto& function : known.functions) {
    if (function.vendor == ids.vendor && function.device == ids.device)
      candidates.push_back(function.bdf);
  }
  if (!candidates.empty()) return only(known, word, std::move(candidates));
  return tl::unexpected(refusal(word, "no device has these vendor and device ids", kListAdvice));
}

// Returns the device with one of these names of the kernel, which are all the same word.
Result<Bdf> with_kernel_names(const KnownDevices& known, std::string_view word,
                              const std::vector<KernelName>& same) {
  std::vector<Bdf> candidates;
  for (const KernelName& each : same) {
    if (each.bdf && !each.usb) candidates.push_back(*each.bdf);
  }
  if (!candidates.empty()) return only(known, word, std::move(candidates));
  const KernelName& first = same.front();
  if (!first.bdf) return tl::unexpected(refusal(word, "it is not on the PCI bus", kListAdvice));
  return tl::unexpected(refusal(
      word, fmt::format("it is on USB, behind the controller {}", described(known, *first.bdf)),
      fmt::format("To take the controller with all its ports, name {}", first.bdf->str())));
}

Error unknown(const KnownDevices& known, std::string_view word, std::string_view name) {
  std::vector<std::string> names;
  for (const KernelName& each : known.kernel_names) {
    if (each.bdf) names.push_back(printable(each.name));
  }
  std::string advice = kListAdvice;
  if (const std::string meant = nearest(name, names); !meant.empty())
    advice = fmt::format("Did you mean '{}'? {}", meant, kListAdvice);
  const bool any_on_vfio = std::any_of(known.functions.begin(), known.functions.end(),
                                       [](const auto& each) { return each.on_vfio; });
  if (any_on_vfio)
    advice += ". Devices on vfio-pci have no interfaces and no disks: name them by their addresses";
  const bool node = name.size() != word.size();
  return refusal(word,
                 node ? "no PCI device has a disk of this name"
                      : "it is not an address like 0000:00:02.0, and no device has it as an "
                        "interface, a disk, vendor:device ids or a part of the name",
                 std::move(advice));
}

// Suggests the device for an address without its function: "0000:01:00".
Error wrong_address(const KnownDevices& known, std::string_view word, const Error& error) {
  const auto first = Bdf::parse(std::string(word) + ".0");
  if (!first || std::none_of(known.functions.begin(), known.functions.end(),
                             [&first](const auto& each) { return each.bdf == *first; }))
    return error;
  return {.code = error.code,
          .operation = error.operation,
          .cause = "it lacks the function",
          .advice = fmt::format("Did you mean '{}'? {}", first->str(), kListAdvice)};
}

}  // namespace

KnownDevices known_devices(const Sysfs& sysfs) {
  const PciNames names;
  KnownDevices known{.functions = {}, .kernel_names = kernel_names(sysfs)};
  for (const Bdf bdf : sysfs.functions().value_or(std::vector<Bdf>())) {
    const auto function = sysfs.function(bdf);
    if (!function) continue;  // unplugged a moment ago
    known.functions.push_back({.bdf = bdf,
                               .vendor = function->vendor,
                               .device = function->device,
                               .name = names.device(function->vendor, function->device),
                               .on_vfio = function->on_vfio});
  }
  return known;
}

Result<Bdf> find_device(const KnownDevices& known, std::string_view word) {
  const auto address = Bdf::parse(word);
  if (address) return *address;
  if (const auto ids = ids_of(word)) return with_ids(known, word, *ids);

  const std::string_view name =
      word.starts_with(kDevDirectory) ? word.substr(kDevDirectory.size()) : word;
  std::vector<KernelName> same;
  for (const KernelName& each : known.kernel_names) {
    const bool has_node = each.kind != KernelName::Kind::Interface;
    if (each.name == name && (has_node || name == word)) same.push_back(each);
  }
  if (!same.empty()) return with_kernel_names(known, word, same);
  if (name != word) return tl::unexpected(unknown(known, word, name));
  // A mistyped address.
  if (word.empty() || word.find(':') != word.npos)
    return tl::unexpected(wrong_address(known, word, address.error()));

  constexpr size_t kLetters = 3;  // fewer are more likely a slip
  std::vector<Bdf> candidates;
  for (const auto& function : known.functions) {
    if (word.size() >= kLetters && contains_text(function.name, word))
      candidates.push_back(function.bdf);
  }
  if (!candidates.empty()) return only(known, word, std::move(candidates));
  return tl::unexpected(unknown(known, word, name));
}

Result<Bdf> device_of(const Sysfs& sysfs, const std::string& word) {
  if (const auto address = Bdf::parse(word)) return *address;
  std::error_code error;
  // /dev/disk/by-id/nvme-MODEL -> ../../nvme0n1
  const std::string node =
      word.starts_with(kDevDirectory) ? std::filesystem::canonical(word, error).string() : word;
  return find_device(known_devices(sysfs), error ? word : node);
}

Result<std::vector<Bdf>> devices_of(const Sysfs& sysfs, const std::vector<std::string>& words) {
  std::vector<Bdf> devices;
  for (const std::string& word : words) {
    const Bdf bdf = PASSTHRU_TRY(device_of(sysfs, word));
    if (std::find(devices.begin(), devices.end(), bdf) == devices.end()) devices.push_back(bdf);
  }
  return devices;
}

Result<std::string> with_address(const Sysfs& sysfs, const std::string& argument) {
  const size_t end = std::min(argument.find(','), argument.size());
  const std::string word = argument.substr(0, end);
  if (word.find('=') != word.npos) return argument;
  return PASSTHRU_TRY(device_of(sysfs, word)).str() + argument.substr(end);
}

}  // namespace passthru::tools
