// SPDX-License-Identifier: MIT
// The users of guests have no name and no line in /etc/passwd: the kernel needs neither.
#include "user.h"

#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>

#include "must.h"

namespace {

// Numbers that no distribution gives away: systemd's list (systemd.io/UIDS-GIDS) has a gap here.
constexpr uint32_t kFirst = 0x70000000;
// Linux has no higher PID. Two parents that add their own to `kFirst` never get the same user.
constexpr uint32_t kPids = 1U << 22;
constexpr uint32_t kLast = kFirst + 16 * kPids;

// Returns the number of a process that has `user`, also as its saved or file system user, or "".
std::string process_of(uint32_t user) {
  for (const auto& entry : std::filesystem::directory_iterator("/proc")) {
    std::string name = entry.path().filename();
    if (!std::all_of(name.begin(), name.end(), [](char c) { return c >= '0' && c <= '9'; }))
      continue;
    std::ifstream status(entry.path() / "status");
    for (std::string line; std::getline(status, line);) {
      if (!line.starts_with("Uid:")) continue;
      std::istringstream words(line.substr(4));
      for (uint32_t each = 0; words >> each;) {
        if (each == user) return name;
      }
    }
  }
  return "";
}

}  // namespace

uint32_t fresh_user() {
  // A guest may outlive its killed parent for a moment, and the kernel may use that PID again.
  for (uint32_t user = kFirst + static_cast<uint32_t>(::getpid()); user < kLast; user += kPids) {
    if (process_of(user).empty()) return user;
  }
  refuse(
      "cannot find a user for the guest: processes have all the users that were tried. Use --user");
}

void must_be_unused(uint32_t user) {
  const std::string process = process_of(user);
  if (process.empty()) return;
  refuse("cannot use user " + std::to_string(user) + ": process " + process +
         " has it. Leave --user out, or name a user that runs nothing");
}
