// SPDX-License-Identifier: MIT
// Names and numbers of users and groups, as the system's databases have them.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>

namespace passthru::tools {

/// Returns the name of a user for a person: "alice", or "1000" if the user has no name. Printable.
std::string user_text(uid_t user);

/// Returns the number of a user, from a name or a decimal number; nothing if no user has the name.
std::optional<uid_t> user_of(const std::string& word);
/// Returns the number of a group, in the same way.
std::optional<gid_t> group_of(const std::string& word);

}  // namespace passthru::tools
