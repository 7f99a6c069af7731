// SPDX-License-Identifier: MIT
// The command line of `passthru`: its subcommands, and the exit statuses of errors.
#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <exception>
#include <new>
#include <sstream>
#include <string>
#include <system_error>

#include "tools/command_words.h"
#include "tools/commands.h"
#include "tools/printable.h"
#include "tools/usage.h"

namespace passthru::tools {
namespace {

constexpr const char* kExamples =
    "Examples:\n"
    "  passthru doctor                   check what this machine lacks\n"
    "  passthru list                     list the devices\n"
    "  sudo passthru bind 01:00.0        take a device from its host driver\n"
    "  sudo passthru bind eth1           the same, by its interface\n"
    "  sudo passthru msix show 01:00.0   show its interrupts and their faults\n"
    "  sudo passthru unbind 01:00.0      give it back to the host\n"
    "\n"
    "Exit status: 0 done, 1 the answer is no, 2 wrong usage, 3 the system\n"
    "refused.\n"
    "DEVICE is an address (01:00.0), an interface or a disk (eth1, nvme0,\n"
    "/dev/sda1), ids (8086:10d3), or a part of the name, if only one device has\n"
    "it.\n"
    "'passthru help COMMAND' explains a command.";

// Opens the standard streams that the parent process has closed. Otherwise the next file or socket
// gets such a number, and output goes there. Each is opened the wrong way round, so that a use of
// it fails as before.
void occupy_standard_streams() {
  for (const int stream : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
    if (::fcntl(stream, F_GETFD) >= 0) continue;
    // open(2) returns the lowest free number: this one. Without /dev/null nothing changes.
    static_cast<void>(::open("/dev/null", stream == STDIN_FILENO ? O_WRONLY : O_RDONLY));
  }
}

int parse(CLI::App& app, int argc, char** argv, const int& status) {
  try {
    app.parse(argc, argv);
    return status;
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() != 0) {
      say(printable(fmt::format("passthru: {}", usage_error(app, error))) + "\n");
      return kUsage;
    }
    std::ostringstream text;  // of --help or --version
    app.exit(error, text);
    fmt::print("{}", text.str());
    return kDone;
  }
}

int run(CLI::App& app, int argc, char** argv, const int& status) {
  try {
    const int ended = parse(app, argc, argv, status);
    // A full disk must not look like success, or like an answer whose output is whole.
    if (std::fflush(stdout) == 0) return ended;
    return report_error({.code = errno, .operation = "write the output"});
  } catch (const std::system_error& error) {  // print_text: the disk is full, or the reader is gone
    return report_error({.code = error.code().value(), .operation = "write the output"});
  } catch (const std::bad_alloc&) {
    return report_error({.code = ENOMEM, .operation = "run the command"});
  } catch (const std::exception& error) {
    return report_error({.code = EIO, .operation = "run the command", .cause = error.what()});
  }
}

int main(int argc, char** argv) {
  occupy_standard_streams();
  CLI::App app("Assigns PCI devices of this machine to guests, through Linux VFIO.", "passthru");
  app.set_version_flag("-V,--version", "passthru " PASSTHRU_VERSION_TEXT,
                       "Print the version and exit");
  app.formatter(help_formatter());  // the subcommands inherit it
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
  add_explain(app, status);
  add_trace(app, status);
  add_run(app, status);
  add_help(app, status);
  add_version(app);
  add_generate(app, status);
  if (argc <= 1) {
    say(first_steps());
    return kUsage;
  }
  return run(app, argc, argv, status);
}

}  // namespace
}  // namespace passthru::tools

int main(int argc, char** argv) {
  return passthru::tools::main(argc, argv);
}
