// SPDX-License-Identifier: MIT
// Owns the ways in which BARs are shown: as text, as an SVG, as JSON. Pure; `passthru bars` chooses
// one and writes it.
#pragma once

#include <string>

#include "tools/bars/bars_picture.h"
#include "tools/json.h"

namespace passthru::tools {

struct TextStyle {
  unsigned columns = 100;  ///< no line is wider; 24 at least are taken
  bool colour = false;     ///< the sequences of ECMA-48; nothing is said by colour alone
};

std::string bars_text(const DeviceBars& device, const TextStyle& style);

/// A whole file, which needs no other; 1,000 wide, and with a background of its own.
std::string bars_svg(const DeviceBars& device);

/// What docs/json.md says.
Json bars_json(const DeviceBars& device);

}  // namespace passthru::tools
