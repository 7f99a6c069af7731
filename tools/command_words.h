// SPDX-License-Identifier: MIT
// The manual page and the shell completions. The build generates both from the command line's own
// description, so they cannot be out of date.
#pragma once

#include <CLI/CLI.hpp>
#include <string>

namespace passthru::tools {

/// Returns a page for man(1), section 1, in the macros of man(7).
std::string manual_page(const CLI::App& app, const std::string& version);

/// Returns a script for bash that completes subcommands, options, devices (by
/// address, interface and disk), verdicts and file names.
std::string bash_completion(const CLI::App& app);
/// Returns the same for zsh: a function that compinit finds in a file of its name, `_passthru`.
std::string zsh_completion(const CLI::App& app);

/// Registers `passthru generate`, which prints one of these for the build.
CLI::App* add_generate(CLI::App& app, int& status);

}  // namespace passthru::tools
