// SPDX-License-Identifier: MIT
// Owns how an Inspection looks as JSON. Field names are those of host/inspection.h; scripts rely on
// them.
#pragma once

#include <nlohmann/json.hpp>

#include "host/inspection.h"

namespace passthru {

void to_json(nlohmann::json& json, const SpanInspection& span);
void to_json(nlohmann::json& json, const BarInspection& bar);
void to_json(nlohmann::json& json, const SourceStats& stats);
void to_json(nlohmann::json& json, const VectorInspection& vector);
void to_json(nlohmann::json& json, const Inspection& inspection);

}  // namespace passthru
