// SPDX-License-Identifier: MIT
// The output of BARs as text, as SVG and as JSON. Pure; `passthru bars` chooses the format and
// writes it.
#pragma once

#include <string>

#include "tools/bars/bars_picture.h"
#include "tools/json.h"

namespace passthru::tools {

struct TextStyle {
  unsigned columns = 100;  ///< maximum width of a line; at least 24
  bool colour = false;     ///< by sequences of ECMA-48; colours only repeat other information
};

std::string bars_text(const DeviceBars& device, const TextStyle& style);

/// Returns a complete, self-contained file, 1,000 wide, with its own background.
std::string bars_svg(const DeviceBars& device);

/// Returns the members that docs/json.md describes.
Json bars_json(const DeviceBars& device);

}  // namespace passthru::tools
