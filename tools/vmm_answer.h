// SPDX-License-Identifier: MIT
// A VMM's answers, as the command reads them. A VMM is untrusted: an answer has limits, which are
// checked before memory is spent on it. Pure.
#pragma once

#include <cstddef>
#include <nlohmann/json.hpp>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "device/inspection.h"

namespace passthru::tools {

/// The limits of an answer. The answer about a device with 2,048 vectors has some 2 MiB of text,
/// and counts as 17 MiB of memory.
struct AnswerLimits {
  static constexpr size_t kBytes = size_t{4} << 20;
  static constexpr size_t kMemory = size_t{24} << 20;  ///< bytes of its values
  static constexpr size_t kDepth = 16;
  static constexpr size_t kElements = 4096;  ///< of an array or object
  static constexpr size_t kText = 4096;      ///< bytes of a text, as it is sent
  static constexpr size_t kNumber = 32;      ///< characters of a number or another word
  static constexpr unsigned kVectors = 2048;
  static constexpr unsigned kBars = 7;
  static constexpr size_t kSpans = 1024;  ///< of a BAR
};

/// Returns an answer as a JSON object of this version. All texts of its values are printable. A
/// number that is not an integer becomes null, because no member has one.
///
/// Errors:
/// - EPROTO: the answer exceeds a limit, or is not of this protocol. The cause says which.
Result<nlohmann::json> parse_answer(std::string_view line);

/// Returns the devices of an answer to "inspect".
///
/// Errors:
/// - EPROTO: a member has a wrong type, an index is too large or there twice, or a BAR has too many
/// spans.
Result<std::vector<Inspection>> inspections_in(const nlohmann::json& answer);

}  // namespace passthru::tools
