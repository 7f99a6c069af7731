// SPDX-License-Identifier: MIT
#include "prepare/change_plan.h"

#include <fmt/format.h>

#include <system_error>

#include "base/small_file.h"

namespace passthru {
namespace {

// Returns the content of a file in the form that printf takes.
std::string escaped(const std::string& content) {
  std::string text;
  for (const char c : content) text += c == '\n' ? std::string("\\n") : std::string(1, c);
  return text;
}

// Undoes the changes before `failed`, last first. Returns the changes that could not be undone.
std::string undo_before(const ChangePlan& plan, size_t failed, const ApplyChange& apply) {
  std::string left;
  for (size_t i = failed; i-- > 0;) {
    if (!plan[i].undo) continue;
    if (auto undone = apply(*plan[i].undo); !undone) {
      left += fmt::format("; not undone: '{}': {}", plan[i].undo->str(),
                          std::generic_category().message(undone.error().code));
    }
  }
  return left;
}

}  // namespace

std::string FileChange::str() const {
  switch (kind) {
    case Kind::Write:
      return fmt::format("echo {}> {}", value.empty() ? "" : value + " ", file.string());
    case Kind::Create:
      return fmt::format("mkdir -p {} && printf '{}' > {}", file.parent_path().string(),
                         escaped(value), file.string());
    case Kind::Remove:
      return fmt::format("rm {}", file.string());
  }
  return {};
}

Result<void> apply_to_files(const FileChange& change) {
  std::error_code error;
  switch (change.kind) {
    case FileChange::Kind::Write:
      return write_file(change.file, change.value + "\n");
    case FileChange::Kind::Create:
      std::filesystem::create_directories(change.file.parent_path(), error);
      if (error) return fail(error.value(), "create " + change.file.parent_path().string());
      return write_file(change.file, change.value, /*create=*/true);
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
    if (error.advice.empty() && (error.code == EACCES || error.code == EPERM)) {
      error.advice = "This needs root: run it with sudo";
    }
    const std::string left = undo_before(plan, i, apply);
    if (!left.empty()) {
      if (error.cause.empty()) error.cause = std::generic_category().message(error.code);
      error.cause += left;
    }
    return tl::unexpected(std::move(error));
  }
  return {};
}

}  // namespace passthru
