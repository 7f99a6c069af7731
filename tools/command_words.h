// SPDX-License-Identifier: MIT
// Owns what is made of the command line's own description: the manual page, and the completion of
// words in a shell. Both are generated when the command is built, and cannot be out of date.
#pragma once

#include <CLI/CLI.hpp>
#include <string>

namespace passthru::tools {

/// A page for man(1), section 1, in the macros of man(7).
std::string manual_page(const CLI::App& app, const std::string& version);

/// A script for bash, which completes subcommands, options, PCI addresses and file names.
std::string bash_completion(const CLI::App& app);
/// The same for zsh: a function that compinit finds in a file of its name, `_passthru`.
std::string zsh_completion(const CLI::App& app);

/// `passthru generate`, which the build calls: prints one of these.
CLI::App* add_generate(CLI::App& app, int& status);

}  // namespace passthru::tools
