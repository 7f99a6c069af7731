// SPDX-License-Identifier: MIT
// Conversion of an Inspection to JSON and back. A JSON member has the name of its struct member.
// The inspect socket, `passthru run --summary` and the command use it; docs/inspect.md lists the
// members.
#pragma once

#include <nlohmann/json.hpp>

#include "device/inspection.h"

namespace passthru {

void to_json(nlohmann::json& json, const Inspection& inspection);
/// Members that are missing keep their default. An enum word that this version does not know
/// becomes the enum's Unknown or None. Throws nlohmann::json::exception if a member has another
/// type.
void from_json(const nlohmann::json& json, Inspection& inspection);

}  // namespace passthru
