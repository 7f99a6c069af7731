// SPDX-License-Identifier: MIT
// The options that may follow a BDF.
#include "vmm/device_argument.h"

#include <fmt/format.h>

#include <charconv>
#include <chrono>
#include <optional>
#include <string>
#include <utility>

#include "vmm/pci_bus.h"

namespace passthru {
namespace {

constexpr const char* kOptions =
    "nomap=N, msix=auto, msix=inplace, msix=barN, rom=FILE, rom=off, addr=SLOT.FUNCTION, "
    "moderate=N, vectors=N, reset=on, reset=off, silence=SECONDS, vf-token=UUID, bdf=BDF, fd=N, "
    "iommufd=N, group-fd=N and container-fd=N";

constexpr uint32_t kMaxSilence = 24 * 60 * 60;  // seconds

Error refused(std::string_view option, std::string cause, std::string advice) {
  return Error{.code = EINVAL, .operation = fmt::format("read the option '{}'", option)}
      .because(std::move(cause))
      .advise(std::move(advice));
}

/// Returns the number of a BAR: one digit, 0 to 5.
std::optional<unsigned> bar_number(std::string_view text) {
  if (text.size() != 1 || text[0] < '0' || text[0] > '5') return std::nullopt;
  return static_cast<unsigned>(text[0] - '0');
}

std::optional<uint32_t> number(std::string_view text, int base = 10) {
  uint32_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, base);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

/// Reads a number from `least` to `most`. The error names what the option takes, and its unit.
Result<uint32_t> number_between(std::string_view option, std::string_view value, uint32_t least,
                                uint32_t most, const char* what, const char* unit = "") {
  const auto given = number(value);
  if (given && *given >= least && *given <= most) return *given;
  return tl::unexpected(refused(option, fmt::format("it is not a valid {}", what),
                                fmt::format("Use {} to {}{}", least, most, unit)));
}

/// Returns where the option stores its descriptor, or null for another option.
int* descriptor(std::string_view name, SourceArgument& source) {
  if (name == "fd") return &source.cdev_fd;
  if (name == "iommufd") return &source.iommufd;
  if (name == "group-fd") return &source.group_fd;
  if (name == "container-fd") return &source.container_fd;
  return nullptr;
}

/// Reads "SLOT" or "SLOT.FUNCTION", in hexadecimal.
std::optional<Bdf> bus_address(std::string_view text) {
  const size_t dot = text.find('.');
  const auto slot = number(text.substr(0, dot), 16);
  const auto function =
      dot == std::string_view::npos ? std::optional<uint32_t>(0) : number(text.substr(dot + 1));
  if (!slot || !function || *slot >= PciBus::kSlots || *function >= PciBus::kFunctions) {
    return std::nullopt;
  }
  return Bdf{.device = static_cast<uint8_t>(*slot), .function = static_cast<uint8_t>(*function)};
}

std::optional<MsixChoice> msix_choice(std::string_view text) {
  if (text == "auto") return MsixChoice{.kind = MsixChoice::Kind::Auto};
  if (text == "inplace") return MsixChoice{.kind = MsixChoice::Kind::InPlace};
  if (!text.starts_with("bar")) return std::nullopt;
  const auto bar = bar_number(text.substr(3));
  if (!bar) return std::nullopt;
  return MsixChoice{.kind = MsixChoice::Kind::Bar, .bar = *bar};
}

Result<void> read_option(std::string_view option, DeviceArgument& argument) {
  AssignOptions& options = argument.options;
  const size_t equals = option.find('=');
  const std::string_view name = option.substr(0, equals);
  const std::string_view value =
      equals == std::string_view::npos ? std::string_view{} : option.substr(equals + 1);
  if (name == "nomap") {
    const auto bar = bar_number(value);
    if (!bar) return tl::unexpected(refused(option, "it does not name a BAR", "Use 0 to 5"));
    options.unmapped_bars |= 1U << *bar;
    return {};
  }
  if (name == "msix") {
    const auto choice = msix_choice(value);
    if (!choice) {
      return tl::unexpected(
          refused(option, "the value is unknown", "Use auto, inplace, or bar0 to bar5"));
    }
    options.msix = *choice;
    return {};
  }
  if (name == "rom") {
    if (value.empty())
      return tl::unexpected(
          refused(option, "it does not name a file", "Name a file, or use rom=off"));
    options.rom = value == "off" ? RomChoice{.kind = RomChoice::Kind::Off}
                                 : RomChoice{RomChoice::Kind::File, std::string(value)};
    return {};
  }
  if (name == "addr") {
    argument.address = bus_address(value);
    if (argument.address) return {};
    return tl::unexpected(refused(option, "it is not a place on the guest's bus",
                                  "Use a slot from 1 to 1f and a function from 0 to 7, like 3.1"));
  }
  if (name == "moderate") {
    options.max_interrupts_per_second = PASSTHRU_TRY(
        number_between(option, value, 1, kMaxPerSecond, "interrupt rate", " interrupts a second"));
    return {};
  }
  if (name == "vectors") {
    options.max_vectors =
        PASSTHRU_TRY(number_between(option, value, 1, kMaxMsixVectors, "number of vectors"));
    return {};
  }
  if (name == "reset") {
    if (value != "on" && value != "off")
      return tl::unexpected(refused(option, "the value is unknown", "Use on or off"));
    options.reset = value == "on";
    return {};
  }
  if (name == "silence") {
    options.max_silence = std::chrono::seconds(
        PASSTHRU_TRY(number_between(option, value, 0, kMaxSilence, "number of seconds")));
    return {};
  }
  if (name == "bdf") {
    options.device = PASSTHRU_TRY(Bdf::parse(value));
    return {};
  }
  if (int* const fd = descriptor(name, argument.source)) {
    const auto given = number(value);
    if (!given || *given > INT32_MAX) {
      return tl::unexpected(refused(option, "it is not a descriptor number",
                                    "Use a descriptor that is open here, for example fd=3"));
    }
    *fd = static_cast<int>(*given);
    return {};
  }
  if (name == "vf-token") {
    options.vf_token = PASSTHRU_TRY(VfToken::parse(value));
    return {};
  }
  return tl::unexpected(refused(option, "a device does not have this option",
                                fmt::format("The options are {}", kOptions)));
}

}  // namespace

Result<DeviceArgument> parse_device_argument(std::string_view text) {
  DeviceArgument argument;
  AssignOptions& options = argument.options;
  const std::string whole(text);
  // The address comes first and without a name, unless descriptors name the device.
  if (text.substr(0, text.find(',')).find('=') == std::string_view::npos) {
    options.device = PASSTHRU_TRY(Bdf::parse(text.substr(0, text.find(','))));
    const size_t comma = text.find(',');
    if (comma == std::string_view::npos) return argument;
    text.remove_prefix(comma + 1);
  }
  for (bool more = true; more;) {
    const size_t comma = text.find(',');
    PASSTHRU_TRY(read_option(text.substr(0, comma), argument)
                     .on(options.device == Bdf{} ? "" : options.device.str()));
    more = comma != std::string_view::npos;
    if (more) text.remove_prefix(comma + 1);
  }
  if (options.device == Bdf{} && argument.source.cdev_fd < 0) {
    return tl::unexpected(
        refused(whole, "it does not name a device",
                "Begin with an address like 0000:00:02.0, or give fd=N; group-fd=N needs bdf=BDF"));
  }
  return argument;
}

}  // namespace passthru
