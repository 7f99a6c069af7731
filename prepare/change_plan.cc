// SPDX-License-Identifier: MIT
#include "prepare/change_plan.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <iterator>
#include <set>
#include <sstream>
#include <system_error>
#include <utility>

#include "base/small_file.h"
#include "prepare/in_use.h"

namespace passthru {
namespace {

// Returns the text as a word of a shell: 'it'\''s'.
std::string shell_word(const std::string& text) {
  std::string word = "'";
  for (const char c : text) word += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return word + "'";
}

// Returns the command that prints the content: printf '%s\n' 'line' 'line'.
std::string printed(const std::string& content) {
  std::string command = R"(printf '%s\n')";
  std::istringstream lines(content);
  for (std::string line; std::getline(lines, line);) command += " " + shell_word(line);
  return command;
}

// Undoes the changes before `failed`, last first. Returns the changes that could not be undone. If
// a device cannot be restored, its files stay: the next call needs its record.
std::string undo_before(const ChangePlan& plan, size_t failed, const ApplyChange& apply) {
  std::string left;
  std::set<std::string> not_restored;
  bool stopped = false;
  for (size_t i = failed; i-- > 0;) {
    for (const FileChange& undo : plan[i].undo) {
      if (undo.kind != FileChange::Kind::Write && not_restored.contains(plan[i].device)) continue;
      auto undone = stopped ? Result<void>(fail(ECANCELED, "undo")) : apply(undo);
      if (undone) continue;
      stopped = stopped || undone.error().code == ECANCELED;
      not_restored.insert(plan[i].device);
      left += fmt::format("; not undone: '{}': {}", undo.str(),
                          std::generic_category().message(undone.error().code));
    }
  }
  return left;
}

std::string commands_of(ChangePlan::const_iterator begin, ChangePlan::const_iterator end) {
  if (begin == end) return "nothing";
  std::vector<std::string> commands;
  std::transform(begin, end, std::back_inserter(commands),
                 [](const PlannedChange& each) { return "'" + each.change.str() + "'"; });
  return first_few(commands);
}

std::string devices_of(const ChangePlan& plan) {
  std::vector<std::string> devices;
  for (const PlannedChange& each : plan) {
    if (std::find(devices.begin(), devices.end(), each.device) == devices.end())
      devices.push_back(each.device);
  }
  return fmt::format("{}", fmt::join(devices, " "));
}

// The writes of an undo would wait for the same lock of the device, so the state stays as it is.
Error stopped_at(const ChangePlan& plan, size_t at, Error error) {
  const auto stop = plan.begin() + static_cast<ChangePlan::difference_type>(at);
  error.cause = fmt::format(
      "stopped while the kernel was working on it, and it may still complete. Made before: {}. Not "
      "made: {}",
      commands_of(plan.begin(), stop), commands_of(stop + 1, plan.end()));
  const std::string devices = devices_of(plan);
  error.advice = fmt::format(
      "When the kernel is done, 'passthru bind {0}' binds from this state, and 'passthru unbind "
      "{0}' gives back",
      devices);
  return error;
}

}  // namespace

std::string FileChange::str() const {
  switch (kind) {
    case Kind::Write:
      return fmt::format("echo {}> {}", value.empty() ? "" : value + " ", file.string());
    case Kind::Create:
      return fmt::format("mkdir -p {} && {} > {}", file.parent_path().string(), printed(value),
                         file.string());
    case Kind::Remove:
      return fmt::format("rm {}", file.string());
  }
  return {};
}

Result<PlannedChange> content_change(std::filesystem::path file, std::string content,
                                     std::string device) {
  constexpr size_t kMaxContent = 65536;
  auto now = read_file(file, kMaxContent).on(device);
  if (!now && now.error().code != ENOENT) return tl::unexpected(std::move(now).error());
  FileChange undo = now ? FileChange{FileChange::Kind::Create, file, std::move(*now)}
                        : FileChange{FileChange::Kind::Remove, file, {}};
  return PlannedChange{{FileChange::Kind::Create, std::move(file), std::move(content)},
                       {std::move(undo)},
                       std::move(device)};
}

Result<void> apply_to_files(const FileChange& change) {
  std::error_code error;
  switch (change.kind) {
    case FileChange::Kind::Write:
      return write_file(change.file, change.value + "\n");
    case FileChange::Kind::Create:
      PASSTHRU_TRY(make_directory(change.file.parent_path()));
      return replace_file(change.file, change.value);
    case FileChange::Kind::Remove:
      if (!std::filesystem::remove(change.file, error) && !error)
        return fail(ENOENT, "remove " + change.file.string());
      if (error) return fail(error.value(), "remove " + change.file.string());
      return {};
  }
  return {};
}

Result<void> carry_out(const ChangePlan& plan, const ApplyChange& apply) {
  for (size_t i = 0; i < plan.size(); ++i) {
    auto done = apply(plan[i].change);
    if (done) continue;
    Error error = std::move(done).error();
    if (error.device.empty()) error.device = plan[i].device;
    if (error.code == ECANCELED) return tl::unexpected(stopped_at(plan, i, std::move(error)));
    const bool denied = error.code == EACCES || error.code == EPERM;
    if (error.advice.empty() && denied && ::geteuid() != 0) {
      error.advice = "This needs root: run it with sudo";
    }
    const std::string left = undo_before(plan, i, apply);
    if (!left.empty()) {
      if (error.cause.empty()) error.cause = std::generic_category().message(error.code);
      error.cause += left;
      if (error.advice.empty())
        error.advice =
            fmt::format("'passthru unbind {}' tries again to give back", devices_of(plan));
    }
    return tl::unexpected(std::move(error));
  }
  return {};
}

}  // namespace passthru
