// SPDX-License-Identifier: MIT
// The explanation of each verdict on a vector: its meaning, its cause and the remedy. These texts
// exist only here: the help, the manual and the documents refer to `passthru explain`. Pure.
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string>

#include "base/result.h"
#include "irq/verdict.h"
#include "tools/json.h"

namespace passthru::tools {

/// "DEVICE" in a text stands for the device's address.
struct Explanation {
  const char* meaning = "";  ///< a sentence without its capital and its full stop
  const char* cause = "";    ///< sentences: how the verdict comes about
  const char* remedy = "";   ///< sentences: what to do, with commands
};

Explanation explanation(Verdict verdict);

/// Returns the verdict's word as one word of a shell: "not-routed".
std::string hyphenated(Verdict verdict);
/// Returns the verdict of "not routed" or "not-routed".
/// Errors:
/// - EINVAL: no verdict has this word.
Result<Verdict> verdict_of(const std::string& word);

/// Returns a line for each verdict, worst first, at most so wide.
std::string verdict_list(std::optional<size_t> columns);
/// Returns the verdict and its meaning, its cause and the remedy: each a line, or several if they
/// have at most `columns`. The commands name `device`.
std::string explanation_text(Verdict verdict, const std::string& device,
                             std::optional<size_t> columns);
/// Returns the same as a list of objects.
Json explanations_json(std::span<const Verdict> verdicts, const std::string& device);

}  // namespace passthru::tools
