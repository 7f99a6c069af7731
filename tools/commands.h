// SPDX-License-Identifier: MIT
// Owns the list of subcommands and what they share: one `add_NAME` in tools/NAME.cc for each, the
// exit statuses, and how an error is told. Only main.cc calls the `add_` functions.
#pragma once

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

#include "base/result.h"
#include "pci/bdf.h"

namespace passthru::tools {

/// What the command exits with. Scripts rely on these numbers.
enum ExitStatus : int {
  kDone = 0,
  kNo = 1,       ///< the question was answered, and the answer is no
  kUsage = 2,    ///< the command line is wrong
  kRefused = 3,  ///< the system, the kernel or the device refused
};

// Each registers one subcommand whose callback stores the exit status in `status`. `status` and
// `app` outlive the parse. An error is told once, by `refuse` or `wrong_usage`, and never printed
// elsewhere. `run` is an exception: its VMM's errors are messages of the run.
CLI::App* add_list(CLI::App& app, int& status);
CLI::App* add_doctor(CLI::App& app, int& status);
CLI::App* add_topology(CLI::App& app, int& status);
CLI::App* add_bind(CLI::App& app, int& status);
CLI::App* add_unbind(CLI::App& app, int& status);
CLI::App* add_bars(CLI::App& app, int& status);
CLI::App* add_msix(CLI::App& app, int& status);
CLI::App* add_trace(CLI::App& app, int& status);
CLI::App* add_run(CLI::App& app, int& status);

/// Writes to standard error. Unlike fmt::print never throws: nobody may read it, and a guest goes
/// on.
void say(const std::string& text);
/// "passthru: MESSAGE", and the end of the line.
std::string error_line(const Error& error);
/// Prints that line on standard error and returns kRefused.
int report_error(const Error& error);
/// The same for a command line that CLI11 accepts and we do not; returns kUsage.
int wrong_usage(const Error& error);

/// For a number of the command line: no other is taken. Unlike CLI11's own it adds nothing to the
/// option's type in `--help` and the manual.
CLI::Validator number_from(double least, double most);

/// The devices named on a command line, in that order, each once. EINVAL: one is no PCI address.
Result<std::vector<Bdf>> parse_devices(const std::vector<std::string>& words);

/// What every listing says of its `--json`.
inline constexpr const char* kJsonHelp = "Print JSON; what its members mean is in docs/json.md";

/// And one that goes on.
inline constexpr const char* kJsonLinesHelp =
    "Print JSON, a document a line; what its members mean is in docs/json.md";

/// What every question to a VMM says of its `--socket`.
inline constexpr const char* kSocketHelp =
    "The VMM's inspect socket, if 'passthru run --inspect' has it elsewhere";

}  // namespace passthru::tools
