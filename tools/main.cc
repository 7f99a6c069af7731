// SPDX-License-Identifier: MIT
// Owns the command line of `passthru`: registers every subcommand, turns what CLI11 refuses into
// our exit status.
#include <fmt/format.h>

#include <cerrno>
#include <cstdio>
#include <exception>
#include <string>
#include <system_error>

#include "tools/command_words.h"
#include "tools/commands.h"

namespace passthru::tools {
namespace {

constexpr const char* kExamples =
    "Examples:\n"
    "  passthru doctor                        what this machine lacks, and what mends it\n"
    "  passthru list                          what is there, and what can be assigned\n"
    "  sudo passthru bind 0000:01:00.0        take a device from its host driver\n"
    "  sudo passthru msix show 0000:01:00.0   its interrupts, and what is wrong with them\n"
    "  sudo passthru unbind 0000:01:00.0      give it back\n"
    "\n"
    "Exit status: 0 done, 1 the answer is no, 2 wrong usage, 3 the system refused.\n"
    "'passthru COMMAND --help' explains a command.";

// The subcommand that the words had reached when they went wrong: "passthru msix".
std::string reached(const CLI::App& app) {
  const auto chosen = app.get_subcommands();
  return chosen.empty() ? app.get_name() : app.get_name() + " " + reached(*chosen.front());
}

// CLI11 says of a word that is no subcommand only that one is missing.
std::string what_is_wrong(const CLI::App& app, const CLI::ParseError& error) {
  const CLI::App* deepest = &app;
  for (auto chosen = deepest->get_subcommands(); !chosen.empty();
       chosen = deepest->get_subcommands()) {
    deepest = chosen.front();
  }
  const auto words = deepest->remaining();
  if (dynamic_cast<const CLI::RequiredError*>(&error) == nullptr || words.empty() ||
      deepest->get_subcommands({}).empty()) {
    return error.what();
  }
  return fmt::format("'{}' is no command", words.front());
}

int main(int argc, char** argv) {
  CLI::App app("Assigns PCI devices of this machine to guests, through Linux VFIO.", "passthru");
  app.set_version_flag("--version", "passthru " PASSTHRU_VERSION, "Print the version and exit");
  app.require_subcommand(1);
  app.footer(kExamples);

  int status = kDone;
  add_list(app, status);
  add_doctor(app, status);
  add_topology(app, status);
  add_bind(app, status);
  add_unbind(app, status);
  add_bars(app, status);
  add_msix(app, status);
  add_trace(app, status);
  add_run(app, status);
  add_generate(app, status);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) return app.exit(error);  // --help, --version
    say(fmt::format("passthru: {}. '{} --help' shows how to use it\n", what_is_wrong(app, error),
                    reached(app)));
    return kUsage;
  } catch (const std::system_error& error) {  // fmt::print, for which there is no room or reader
    return report_error({.code = error.code().value(), .operation = "write the output"});
  } catch (const std::exception& error) {  // of JSON that a VMM sent, and is none of ours
    return report_error(
        {.code = EPROTO, .operation = "understand an answer", .cause = error.what()});
  }
  // A full disk must not look like success.
  if (std::fflush(stdout) != 0) {
    const int code = report_error({.code = errno, .operation = "write the output"});
    return status == kDone ? code : status;
  }
  return status;
}

}  // namespace
}  // namespace passthru::tools

int main(int argc, char** argv) {
  return passthru::tools::main(argc, argv);
}
