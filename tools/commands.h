// SPDX-License-Identifier: MIT
// The subcommands, each with an `add_NAME`, and the parts that they share: exit statuses, error
// reports and help texts. Only main.cc calls the `add_` functions.
#pragma once

#include <CLI/CLI.hpp>
#include <cstddef>
#include <string>

#include "base/result.h"
#include "tools/values.h"

namespace passthru::tools {

/// Exit statuses of the command. Scripts rely on these numbers.
enum ExitStatus : int {
  kDone = 0,
  kNo = 1,       ///< the question was answered, and the answer is no
  kUsage = 2,    ///< the command line is wrong
  kRefused = 3,  ///< the system, the kernel or the device refused
};

// Each registers a subcommand, whose callback stores the exit status in `status`. `status` and
// `app` must outlive the parse. A callback reports an error once, by `report_error` or
// `wrong_usage`. Only `run` prints its VMM's errors itself, as messages of the run.
CLI::App* add_list(CLI::App& app, int& status);
CLI::App* add_doctor(CLI::App& app, int& status);
CLI::App* add_topology(CLI::App& app, int& status);
CLI::App* add_bind(CLI::App& app, int& status);
CLI::App* add_unbind(CLI::App& app, int& status);
CLI::App* add_bars(CLI::App& app, int& status);
CLI::App* add_msix(CLI::App& app, int& status);
CLI::App* add_explain(CLI::App& app, int& status);
CLI::App* add_trace(CLI::App& app, int& status);
CLI::App* add_run(CLI::App& app, int& status);

/// Prints lines on standard output. A '?' replaces what `printable_lines` replaces: names come from
/// devices, files and VMMs. All output goes through this, `print_wrapped`, `print_json`, or a
/// picture that makes each of its texts printable. Throws std::system_error if the output cannot be
/// written.
void print_text(const std::string& text);
/// Prints lines in the same way. Wraps them on a terminal, and indents each continuation line by
/// `hang` spaces more than its line. In a pipe a line stays whole, so that grep finds it.
void print_wrapped(const std::string& text, size_t hang = 2);
/// Writes lines to standard error, in the same way. Unlike print_text it never throws: a
/// guest goes on without a reader.
void say(const std::string& text);
/// Returns "passthru: MESSAGE", printable, with a newline.
std::string error_line(const Error& error);
/// Prints that line on standard error and returns kRefused.
int report_error(const Error& error);
/// Prints the error of a command line that CLI11 accepts and Passthru does not. Returns kUsage.
int wrong_usage(const Error& error);

/// Help of DEVICE for every command that takes one.
inline constexpr const char* kDeviceHelp =
    "Device: address, interface, disk, vendor:device ids or part of the name";
inline constexpr const char* kDevicesHelp =
    "Devices: address, interface, disk, vendor:device ids or part of the name";

/// Help of `--json` for a command that prints a single document.
inline constexpr const char* kJsonHelp = "Print JSON; docs/json.md describes its members";

/// Help of `--json` for a command that runs until it is stopped.
inline constexpr const char* kJsonLinesHelp =
    "Print JSON, a document per line; docs/json.md describes its members";

}  // namespace passthru::tools
