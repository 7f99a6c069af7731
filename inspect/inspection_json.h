// SPDX-License-Identifier: MIT
// Owns an Inspection as JSON, both ways: a member is called as in the struct. What the inspect
// socket sends, `passthru run --summary` writes and the command prints; docs/inspect.md lists it.
#pragma once

#include <nlohmann/json.hpp>

#include "device/inspection.h"

namespace passthru {

void to_json(nlohmann::json& json, const Inspection& inspection);
/// Members that are missing are as in an Inspection of nothing. Throws nlohmann::json::exception
/// for those that are of another type.
void from_json(const nlohmann::json& json, Inspection& inspection);

}  // namespace passthru
