// SPDX-License-Identifier: MIT
#include "tools/explain/explanation.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <string_view>
#include <vector>

#include "tools/devices/nearest.h"
#include "tools/printable.h"
#include "tools/table.h"

namespace passthru::tools {
namespace {

constexpr const char* kRestoreIt =
    "Run 'sudo passthru msix audit DEVICE --heal': the VMM restores it, as its own audit does "
    "every 100 ms by default. If no VMM with an inspect socket has the device, reload the "
    "driver that uses it, in the guest or on the host.";

constexpr Explanation kEnableLostText = {
    .meaning = "MSI-X is off in the device",
    .cause =
        "A reset without VFIO's knowledge cleared the device's Message Control, or a program "
        "such as setpci wrote it. The device sends no interrupt of any vector.",
    .remedy = kRestoreIt};

constexpr Explanation kFunctionMaskLeftText = {
    .meaning = "all vectors are masked in the device itself",
    .cause =
        "Linux sets the function mask for a moment while it enables MSI-X. If the verdict "
        "lasts, a program such as setpci wrote the device's Message Control.",
    .remedy = kRestoreIt};

constexpr Explanation kClearedText = {
    .meaning = "its entry in the device is empty",
    .cause =
        "The device was reset without VFIO's knowledge: by its own registers, by its "
        "firmware, or with its link. The reset cleared the device's MSI-X table.",
    .remedy = kRestoreIt};

constexpr Explanation kDifferentText = {
    .meaning = "its entry in the device is wrong or masked",
    .cause =
        "Something wrote the device's MSI-X table without VFIO's knowledge, or the device "
        "does not answer. The line 'vector N: ...' of 'sudo passthru msix show DEVICE' has "
        "the details.",
    .remedy =
        "Run 'sudo passthru msix audit DEVICE --heal': the VMM restores it, as its own audit "
        "does every 100 ms by default. If the device does not answer, look for errors "
        "of its link and its power with 'sudo dmesg | grep DEVICE'."};

constexpr Explanation kNotRoutedText = {
    .meaning = "nothing takes its interrupts to the guest",
    .cause =
        "The host has no interrupt or KVM no route left, the guest's message is not an "
        "interrupt, or the VMM ignores the signals. The line 'vector N: ...' of 'sudo "
        "passthru msix show DEVICE' has the details.",
    .remedy =
        "If KVM or the VMM failed, 'sudo passthru msix audit DEVICE --heal' tries again; if the "
        "message is wrong, reload the driver in the guest. If the host has no interrupt left, "
        "start the guest with fewer vectors: '--device DEVICE,vectors=8' of 'passthru run'."};

constexpr Explanation kUnknownText = {
    .meaning = "a VMM of another version reported it",
    .cause = "The VMM uses another version of Passthru than this command.",
    .remedy =
        "Compare 'passthru version' with the version of the VMM, and install the newer one. "
        "In 'sudo passthru msix show DEVICE --json', the member 'damaged' still says whether "
        "the guest misses interrupts."};

constexpr Explanation kNotSeenText = {
    .meaning = "its entry in the device was not read",
    .cause =
        "No other view of it shows a fault. MSI has no table to read, the kernel can refuse to map "
        "that of MSI-X, and a sleeping device does not answer.",
    .remedy =
        "The lines 'Not seen: ...' of 'sudo passthru msix show DEVICE' have the reason and, if "
        "there is one, the remedy. 'sudo passthru msix watch DEVICE' shows whether interrupts "
        "arrive."};

constexpr Explanation kMaskedByHostText = {
    .meaning = "a driver of the host has masked it",
    .cause =
        "The device's driver on the host has disabled the interrupt, or Linux moves it to "
        "another CPU.",
    .remedy =
        "Run 'sudo passthru msix show DEVICE' again: a move takes microseconds. If the "
        "vector stays masked, look for messages of the driver with 'sudo dmesg'."};

constexpr Explanation kMaskedByGuestText = {
    .meaning = "the guest has masked it",
    .cause =
        "Drivers mask a vector while they change its message, or do not want its interrupts. "
        "An interrupt that fires meanwhile arrives when the guest unmasks the vector.",
    .remedy =
        "Run 'sudo passthru msix show DEVICE' again: most masks last microseconds. If the "
        "vector stays masked, 'sudo passthru trace DEVICE -o trace.json' records when the "
        "guest masks and unmasks it."};

constexpr Explanation kUnusedText = {
    .meaning = "nothing has asked for its interrupts",
    .cause =
        "The device has no driver, its driver needs fewer vectors, or the driver uses another "
        "kind of interrupt.",
    .remedy =
        "If the driver works, do nothing. Otherwise read 'dmesg' and '/proc/interrupts' on "
        "the system that uses the device: the guest or the host."};

constexpr Explanation kOkText = {
    .meaning = "no view of it shows a fault",
    .cause =
        "Its entry in the device was read too. If an interrupt is missing all the same, the device "
        "did not send it, or the driver "
        "did not handle it.",
    .remedy =
        "'sudo passthru msix watch DEVICE' shows whether the device sends interrupts. 'sudo "
        "passthru msix trigger DEVICE VECTOR' tests whether they arrive."};

// Returns whether the verdict is damage; nothing if it does not tell.
std::optional<bool> damage_of(Verdict verdict) {
  if (verdict == Verdict::Unknown || verdict == Verdict::NotSeen) return std::nullopt;
  return is_damage(verdict);
}

std::string for_device(std::string text, const std::string& device) {
  constexpr std::string_view kAnyDevice = "DEVICE";
  for (size_t at = text.find(kAnyDevice); at != std::string::npos;
       at = text.find(kAnyDevice, at + device.size())) {
    text.replace(at, kAnyDevice.size(), device);
  }
  return text;
}

}  // namespace

// Without a default: the compiler reports a verdict that has no text.
Explanation explanation(Verdict verdict) {
  switch (verdict) {
    case Verdict::EnableLost:
      return kEnableLostText;
    case Verdict::FunctionMaskLeft:
      return kFunctionMaskLeftText;
    case Verdict::Cleared:
      return kClearedText;
    case Verdict::Different:
      return kDifferentText;
    case Verdict::NotRouted:
      return kNotRoutedText;
    case Verdict::Unknown:
      return kUnknownText;
    case Verdict::NotSeen:
      return kNotSeenText;
    case Verdict::MaskedByHost:
      return kMaskedByHostText;
    case Verdict::MaskedByGuest:
      return kMaskedByGuestText;
    case Verdict::Unused:
      return kUnusedText;
    case Verdict::Ok:
      return kOkText;
  }
  return kUnknownText;
}

std::string hyphenated(Verdict verdict) {
  std::string word = to_string(verdict);
  std::replace(word.begin(), word.end(), ' ', '-');
  return word;
}

Result<Verdict> verdict_of(const std::string& word) {
  std::string spaced = word;
  std::replace(spaced.begin(), spaced.end(), '-', ' ');
  std::vector<std::string> known;
  for (const Verdict verdict : kVerdicts) {
    if (spaced == to_string(verdict)) return verdict;
    known.emplace_back(to_string(verdict));
  }
  constexpr const char* kListThem = "'passthru explain' lists the verdicts";
  const std::string meant = nearest(spaced, known);
  return tl::unexpected(
      Error{.code = EINVAL,
            .operation = fmt::format("explain '{}'", word),
            .cause = "it is not a verdict",
            .advice = meant.empty() ? std::string(kListThem)
                                    : fmt::format("Did you mean '{}'? {}", meant, kListThem)});
}

std::string verdict_list(std::optional<size_t> columns) {
  constexpr size_t kLeastMeaning = 12;
  Table table({{.heading = "VERDICT"},
               {.heading = "DAMAGE"},
               {.heading = "MEANING", .least = kLeastMeaning}});
  for (const Verdict verdict : kVerdicts) {
    const auto damage = damage_of(verdict);
    table.add(
        {to_string(verdict), damage ? *damage ? "yes" : "no" : "-", explanation(verdict).meaning});
  }
  return table.str(columns);
}

std::string explanation_text(Verdict verdict, const std::string& device,
                             std::optional<size_t> columns) {
  constexpr size_t kHang = 2;
  const Explanation its = explanation(verdict);
  const std::string first = fmt::format("{}{}: {}\n", to_string(verdict),
                                        is_damage(verdict) ? " (damage)" : "", its.meaning);
  const std::string others =
      fmt::format("  {}\n  {}\n", for_device(its.cause, device), for_device(its.remedy, device));
  return wrapped_lines(first, columns, kHang) + wrapped_lines(others, columns, 0);
}

Json explanations_json(std::span<const Verdict> verdicts, const std::string& device) {
  Json list = Json::array();
  for (const Verdict verdict : verdicts) {
    const Explanation its = explanation(verdict);
    list.push_back({{"verdict", to_string(verdict)},
                    {"damaged", json_or_null(damage_of(verdict))},
                    {"meaning", its.meaning},
                    {"cause", for_device(its.cause, device)},
                    {"remedy", for_device(its.remedy, device)}});
  }
  return list;
}

}  // namespace passthru::tools
