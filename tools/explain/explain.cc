// SPDX-License-Identifier: MIT
// `passthru explain`: lists the verdicts on vectors, and explains one of them.
#include <memory>
#include <string>
#include <vector>

#include "tools/commands.h"
#include "tools/explain/explanation.h"
#include "tools/json.h"
#include "tools/terminal.h"

namespace passthru::tools {
namespace {

constexpr const char* kExplainFooter =
    "Explains a verdict of 'passthru msix show', 'watch' or 'audit': what it\n"
    "means for a vector, how it comes about, and what to do. Without VERDICT it\n"
    "lists all verdicts, worst first. 'passthru msix show DEVICE --explain'\n"
    "explains those of a device.\n"
    "\n"
    "Exit status: 0 explained, 2 there is no such verdict.\n"
    "\n"
    "Examples:\n"
    "  passthru explain\n"
    "  passthru explain cleared\n"
    "  passthru explain masked by guest\n"
    "  passthru explain masked-by-guest";

constexpr const char* kAnyAddress = "DEVICE";

std::string joined_words(const std::vector<std::string>& words) {
  std::string joined;
  for (const std::string& word : words) joined += joined.empty() ? word : " " + word;
  return joined;
}

int explain_all(bool as_json) {
  if (as_json) {
    print_json({{"verdicts", explanations_json(kVerdicts, kAnyAddress)}});
  } else {
    print_text(verdict_list(terminal_columns()));
  }
  return kDone;
}

int explain_one(const std::string& word, bool as_json) {
  const auto verdict = verdict_of(word);
  if (!verdict) return wrong_usage(verdict.error());
  if (as_json) {
    print_json({{"verdicts", explanations_json({&*verdict, 1}, kAnyAddress)}});
  } else {
    print_text(explanation_text(*verdict, kAnyAddress, terminal_columns()));
  }
  return kDone;
}

}  // namespace

CLI::App* add_explain(CLI::App& app, int& status) {
  CLI::App* command =
      app.add_subcommand("explain", "Explain a verdict: its meaning, its causes, what to do");
  const auto words = std::make_shared<std::vector<std::string>>();
  const auto json = std::make_shared<bool>(false);
  const CLI::Option* named =
      command
          ->add_option("VERDICT", *words, "Verdict, such as 'not routed' (default: list them all)")
          ->type_name("");
  command->add_flag("--json", *json, kJsonHelp);
  command->footer(kExplainFooter);
  command->callback([named, words, json, &status] {
    // An empty word, from an empty shell variable, is not a verdict.
    status = named->count() == 0 ? explain_all(*json) : explain_one(joined_words(*words), *json);
  });
  return command;
}

}  // namespace passthru::tools
