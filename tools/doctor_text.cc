// SPDX-License-Identifier: MIT
#include "tools/doctor_text.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "tools/printable.h"

namespace passthru::tools {
namespace {

/// Findings that the same action fixes; or a single finding.
using Cause = std::vector<const HostCheck*>;

int severity_rank(const HostCheck& check) {
  const int fixable = check.commands.empty() ? 0 : 1;
  switch (check.answer) {
    case Answer::No:
      return fixable;
    case Answer::Warn:
      return 2 + fixable;
    case Answer::Unknown:
      return 4;
    case Answer::Ok:
      break;
  }
  return 5;
}

bool have_same_cause(const HostCheck& a, const HostCheck& b) {
  if (!a.commands.empty() || !b.commands.empty()) return a.commands == b.commands;
  return !a.remedy.empty() && a.remedy == b.remedy;
}

/// Returns the causes of all that is not ok, each in the place of its first finding.
std::vector<Cause> causes_of(const std::vector<HostCheck>& checks) {
  std::vector<Cause> causes;
  for (const HostCheck& check : checks) {
    if (check.answer == Answer::Ok) continue;
    const auto same = std::find_if(causes.begin(), causes.end(), [&](const Cause& cause) {
      return have_same_cause(*cause.front(), check);
    });
    if (same == causes.end()) {
      causes.push_back({&check});
    } else {
      same->push_back(&check);
    }
  }
  return causes;
}

std::string finding(const HostCheck& check) {
  return fmt::format("{:<4}  {:<19}  {}",
                     check.answer == Answer::Unknown ? "-" : to_string(check.answer), check.name,
                     check.what);
}

/// Returns "vfio, vfio_pci: what to do", with a colon at the end if commands follow.
std::string heading_of(const Cause& cause) {
  std::string names;
  std::string remedy;
  for (const HostCheck* check : cause) {
    names += (names.empty() ? "" : ", ") + std::string(check->name);
    if (remedy.empty()) remedy = check->remedy;
  }
  const std::string heading = remedy.empty() ? names : names + ": " + remedy;
  return cause.front()->commands.empty() ? heading : heading + ":";
}

std::string by_sudo(const std::string& command) {
  // Otherwise the user's shell, not root's, would open the file or run the next command.
  const bool needs_shell = command.find_first_of(">&|") != std::string::npos;
  return needs_shell ? fmt::format("sudo sh -c '{}'", command) : "sudo " + command;
}

/// Collects lines. Wraps them to the terminal, if there is one.
class Lines {
 public:
  explicit Lines(std::optional<size_t> columns) : columns_(columns) {}

  void add(const std::string& line, size_t indent) {
    text_ += wrapped_lines(printable(line) + "\n", columns_, indent);
  }
  // A longer line than the terminal's is broken by the terminal, which copies it as one line.
  void add_whole(const std::string& line) { text_ += printable(line) + "\n"; }

  [[nodiscard]] std::string str() && { return std::move(text_); }

 private:
  std::optional<size_t> columns_;
  std::string text_{};
};

}  // namespace

std::vector<HostCheck> worst_first(std::vector<HostCheck> checks) {
  std::stable_sort(checks.begin(), checks.end(), [](const HostCheck& a, const HostCheck& b) {
    return severity_rank(a) < severity_rank(b);
  });
  return checks;
}

std::string conclusion(const std::vector<HostCheck>& checks, const std::optional<Bdf>& device) {
  const std::vector<HostCheck> sorted = worst_first(checks);
  if (is_ready(sorted)) {
    std::string unknown;
    for (const HostCheck& check : sorted) {
      if (check.answer != Answer::Unknown) continue;
      unknown += (unknown.empty() ? "; unknown: " : ", ") + std::string(check.name);
    }
    return (device ? device->str() + " can be assigned" : "this machine can assign devices") +
           unknown;
  }
  const std::vector<Cause> causes = causes_of(sorted);
  const auto others = std::count_if(causes.begin() + 1, causes.end(), [](const Cause& cause) {
    return cause.front()->answer == Answer::No;
  });
  return fmt::format(
      "{}, because {}{}",
      device ? device->str() + " cannot be assigned" : "this machine cannot assign devices",
      sorted.front().what,
      others == 0 ? "" : fmt::format("; and {} other cause{}", others, others == 1 ? "" : "s"));
}

std::string doctor_text(const std::vector<HostCheck>& checks, const std::optional<Bdf>& device,
                        const DoctorReader& reader) {
  constexpr size_t kTextColumn = 27;
  constexpr size_t kIndent = 2;
  const std::vector<HostCheck> sorted = worst_first(checks);
  Lines lines(reader.columns);
  for (const HostCheck& check : sorted) lines.add(finding(check), kTextColumn);
  lines.add("", 0);
  bool any = false;
  for (const Cause& cause : causes_of(sorted)) {
    if (remedy_text(*cause.front()).empty()) continue;
    any = true;
    lines.add(heading_of(cause), kIndent);
    for (const std::string& command : cause.front()->commands)
      lines.add_whole("  " + (reader.root ? command : by_sudo(command)));
  }
  if (any) lines.add("", 0);
  lines.add(conclusion(checks, device), kIndent);
  return std::move(lines).str();
}

}  // namespace passthru::tools
