// SPDX-License-Identifier: MIT
// What is wrong with a command line, in the words of this command: no text of CLI11 reaches a
// person. Also the layout of help texts, the first words for a person who gave no subcommand, and
// `help` and `version`.
#pragma once

#include <CLI/CLI.hpp>
#include <memory>
#include <string>

namespace passthru::tools {

/// Returns why the parser refused the command line, in one line without a newline. Names the
/// command whose help explains it.
std::string usage_error(const CLI::App& app, const CLI::ParseError& error);

/// Returns a formatter of `--help` and `help`: no line is wider than 80 columns or the terminal.
std::shared_ptr<CLI::FormatterBase> help_formatter();

/// Returns what to do first, for a command line without a subcommand.
std::string first_steps();

/// Registers `passthru help [COMMAND]...`.
CLI::App* add_help(CLI::App& app, int& status);
/// Registers `passthru version`.
CLI::App* add_version(CLI::App& app);

}  // namespace passthru::tools
