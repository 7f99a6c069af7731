// SPDX-License-Identifier: MIT
// Owns the command line of `passthru`: registers every subcommand, turns what CLI11 refuses into
// our exit status.
#include <fmt/format.h>

#include <cstdio>

#include "tools/command_words.h"
#include "tools/commands.h"

namespace passthru::tools {
namespace {

constexpr const char* kExamples =
    "Examples:\n"
    "  passthru doctor                        what this machine lacks, and what mends it\n"
    "  passthru list                          what is there, and what can be assigned\n"
    "  sudo passthru bind 0000:01:00.0        take a device from its host driver\n"
    "  sudo passthru msix show 0000:01:00.0   the device's own interrupt table\n"
    "  sudo passthru unbind 0000:01:00.0      give it back\n"
    "\n"
    "Exit status: 0 done, 1 the answer is no, 2 wrong usage, 3 the system refused.\n"
    "'passthru COMMAND --help' explains a command.";

// The subcommand that the words had reached when they went wrong: "passthru msix".
std::string reached(const CLI::App& app) {
  const auto chosen = app.get_subcommands();
  return chosen.empty() ? app.get_name() : app.get_name() + " " + reached(*chosen.front());
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
    fmt::print(stderr, "passthru: {}. '{} --help' shows how to use it\n", error.what(),
               reached(app));
    return kUsage;
  }
  // A full disk must not look like success.
  if (std::fflush(stdout) != 0 && status == kDone)
    return refuse({.code = errno, .operation = "write the output"});
  return status;
}

}  // namespace
}  // namespace passthru::tools

int main(int argc, char** argv) {
  return passthru::tools::main(argc, argv);
}
