// SPDX-License-Identifier: MIT
#include "tools/user_names.h"

#include <grp.h>
#include <pwd.h>

#include <cstdint>

#include "tools/printable.h"
#include "tools/values.h"

namespace passthru::tools {
namespace {

std::optional<uint32_t> decimal(const std::string& word) {
  const auto number = read_number(word);
  // The kernel reserves the highest number: it means "no change".
  if (!number || *number >= UINT32_MAX) return std::nullopt;
  return static_cast<uint32_t>(*number);
}

}  // namespace

// The command has one thread when it calls these functions of libc.
std::string user_text(uid_t user) {
  const passwd* const found = ::getpwuid(user);
  return found == nullptr ? std::to_string(user) : printable(found->pw_name);
}

std::optional<uid_t> user_of(const std::string& word) {
  if (const passwd* const found = ::getpwnam(word.c_str())) return found->pw_uid;
  return decimal(word);
}

std::optional<gid_t> group_of(const std::string& word) {
  if (const group* const found = ::getgrnam(word.c_str())) return found->gr_gid;
  return decimal(word);
}

}  // namespace passthru::tools
