// SPDX-License-Identifier: MIT
// CLI11's errors carry the names of options only within their texts, so the names are searched.
#include "tools/usage.h"

#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <sstream>
#include <utility>
#include <vector>

#include "tools/commands.h"
#include "tools/devices/nearest.h"
#include "tools/printable.h"
#include "tools/terminal.h"
#include "tools/values.h"

namespace passthru::tools {
namespace {

// The subcommand that the parser had reached, and its path: "passthru msix".
struct Reached {
  const CLI::App* command = nullptr;
  std::string path{};
};

Reached reached(const CLI::App& app) {
  Reached at{.command = &app, .path = app.get_name()};
  for (auto chosen = app.get_subcommands(); !chosen.empty();
       chosen = at.command->get_subcommands()) {
    at.command = chosen.front();
    at.path += " " + at.command->get_name();
  }
  return at;
}

std::vector<std::string> names_of_commands(const CLI::App& app) {
  std::vector<std::string> names;
  for (const CLI::App* command : app.get_subcommands({})) {
    if (!command->get_group().empty()) names.push_back(command->get_name());  // not hidden
  }
  return names;
}

std::vector<std::string> names_of_options(const CLI::App& app) {
  std::vector<std::string> names;
  for (const CLI::Option* option : app.get_options()) {
    for (const std::string& name : option->get_lnames()) names.push_back("--" + name);
  }
  return names;
}

// Returns the options whose names are words of the text, in that order.
std::vector<const CLI::Option*> options_in(const CLI::App& app, const std::string& text) {
  constexpr const char* kEnds = " :,";
  std::vector<const CLI::Option*> found;
  for (size_t begin = 0; begin < text.size();) {
    const size_t end = std::min(text.find_first_of(kEnds, begin), text.size());
    const std::string word = text.substr(begin, end - begin);
    for (const CLI::Option* option : app.get_options()) {
      if (option->get_name() == word) found.push_back(option);
    }
    begin = end + 1;
  }
  return found;
}

std::string unknown_option(const Reached& at, const std::string& word) {
  const std::string name = word.substr(0, word.find('='));
  return fmt::format("'{}' is not an option of '{}'.{}", printable(name), at.path,
                     did_you_mean(name, names_of_options(*at.command)));
}

// Returns the command of this name below a command: "msix show" for "show". Empty: no such command.
std::string below_a_command(const CLI::App& app, const std::string& word) {
  for (const CLI::App* command : app.get_subcommands({})) {
    const auto names = names_of_commands(*command);
    if (std::find(names.begin(), names.end(), word) != names.end())
      return command->get_name() + " " + word;
  }
  return {};
}

std::string unknown_command(const Reached& at, const std::string& word) {
  const std::string below = below_a_command(*at.command, word);
  return fmt::format("'{}' is not a command.{}", printable(word),
                     below.empty() ? did_you_mean(word, names_of_commands(*at.command))
                                   : fmt::format(" Did you mean '{}'?", below));
}

std::string wrong_count(const CLI::Option& option) {
  if (option.get_expected_max() == 0) return option.get_name() + " takes no value.";
  const size_t given = option.results().size();
  return given > 1 && option.get_expected_max() == 1
             ? fmt::format("{} is given {} times. Give it once.", option.get_name(), given)
             : option.get_name() + " needs a value.";
}

std::string what_is_wrong(const Reached& at, const CLI::ParseError& error) {
  const auto words = at.command->remaining();
  const auto option = std::find_if(words.begin(), words.end(), [](const std::string& word) {
    return word.size() > 1 && word.front() == '-' && word != "--";
  });
  if (option != words.end()) return unknown_option(at, *option);
  const auto commands = names_of_commands(*at.command);
  if (!commands.empty() && !words.empty()) return unknown_command(at, words.front());
  if (!commands.empty()) return fmt::format("name a command: {}.", joined_choices(commands));

  const std::string text = error.what();
  if (dynamic_cast<const CLI::ValidationError*>(&error) != nullptr) return text + ".";  // our own
  const auto named = options_in(*at.command, text);
  const auto name = [&named](size_t i) { return named[i]->get_name(); };
  if (dynamic_cast<const CLI::RequiredError*>(&error) != nullptr && !named.empty())
    return name(0) + " is required.";
  if (dynamic_cast<const CLI::RequiresError*>(&error) != nullptr && named.size() > 1)
    return fmt::format("{} requires {}.", name(0), name(1));
  if (dynamic_cast<const CLI::ExcludesError*>(&error) != nullptr && named.size() > 1)
    return fmt::format("{} cannot be used with {}.", name(0), name(1));
  const bool of_value = dynamic_cast<const CLI::ArgumentMismatch*>(&error) != nullptr ||
                        dynamic_cast<const CLI::ConversionError*>(&error) != nullptr;
  if (of_value && !named.empty()) return wrong_count(*named.front());
  if (!words.empty()) return fmt::format("'{}' is not expected here.", printable(words.front()));
  return "the command line is wrong.";
}

/// Wraps the help, which CLI11 prints with descriptions of any length.
class HelpFormatter : public CLI::Formatter {
 public:
  std::string make_help(const CLI::App* app, std::string name,
                        CLI::AppFormatMode mode) const override {
    constexpr size_t kWidest = 80;
    const size_t columns = std::min(terminal_columns().value_or(kWidest), kWidest);
    std::istringstream lines(CLI::Formatter::make_help(app, std::move(name), mode));
    std::string text;
    for (std::string line; std::getline(lines, line);) {
      // Descriptions of options begin in a column of their own.
      const size_t indent = line.starts_with(' ') ? get_column_width() : 0;
      for (const std::string& part : wrapped(line, columns, indent)) text += part + '\n';
    }
    return text;
  }
};

constexpr const char* kHelpFooter =
    "Examples:\n"
    "  passthru help\n"
    "  passthru help msix show";

int help(const CLI::App& app, const std::vector<std::string>& words) {
  Reached at{.command = &app, .path = app.get_name()};
  for (const std::string& word : words) {
    const auto commands = at.command->get_subcommands({});
    const auto next = std::find_if(commands.begin(), commands.end(),
                                   [&](const CLI::App* each) { return each->get_name() == word; });
    if (commands.empty()) {
      say(fmt::format("passthru: '{}' has no commands. '{} --help' explains it\n", at.path,
                      at.path));
      return kUsage;
    }
    if (next == commands.end()) {
      say(fmt::format("passthru: {} '{} --help' lists the commands\n", unknown_command(at, word),
                      at.path));
      return kUsage;
    }
    at.path += " " + word;
    at.command = *next;
  }
  fmt::print("{}", at.command->get_formatter()->make_help(at.command, at.path,
                                                          CLI::AppFormatMode::Normal));
  return kDone;
}

}  // namespace

std::string usage_error(const CLI::App& app, const CLI::ParseError& error) {
  const Reached at = reached(app);
  return fmt::format("{} '{} --help' shows how to use it", what_is_wrong(at, error), at.path);
}

std::string first_steps() {
  return "passthru gives PCI devices of this machine to guests. Begin with:\n"
         "  passthru doctor                what this machine lacks, and how to fix it\n"
         "  passthru list                  the devices, their names, and which can be assigned\n"
         "  passthru bind --dry-run eth0   what taking a device from the host would change\n"
         "'passthru help' shows all commands.\n";
}

std::shared_ptr<CLI::FormatterBase> help_formatter() {
  return std::make_shared<HelpFormatter>();
}

CLI::App* add_help(CLI::App& app, int& status) {
  CLI::App* command = app.add_subcommand("help", "Explain a command");
  const auto words = std::make_shared<std::vector<std::string>>();
  command
      ->add_option("COMMAND", *words, "Command, such as 'msix show' (default: list all commands)")
      ->type_name("");
  command->footer(kHelpFooter);
  command->callback([&app, words, &status] { status = help(app, *words); });
  return command;
}

CLI::App* add_version(CLI::App& app) {
  CLI::App* command = app.add_subcommand("version", "Print the version");
  command->callback([&app] { fmt::print("{}\n", app.version()); });
  return command;
}

}  // namespace passthru::tools
