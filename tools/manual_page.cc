// SPDX-License-Identifier: MIT
// The manual page, in roff.
#include <fmt/format.h>

#include <sstream>
#include <string>
#include <string_view>
#include <vector>

#include "tools/command_words.h"

namespace passthru::tools {
namespace {

// Escapes text for man(7): lines do not become requests, backslashes escapes, or hyphens dashes.
std::string escaped_for_roff(const std::string& text) {
  std::string out;
  for (const char c : text) {
    const bool starts_line = out.empty() || out.back() == '\n';
    if (starts_line && (c == '.' || c == '\'')) out += "\\&";
    if (c == '\\') {
      out += "\\e";
    } else if (c == '-') {
      out += "\\-";
    } else {
      out += c;
    }
  }
  return out;
}

std::string names_of(const CLI::Option& option) {
  if (option.get_positional()) return option.get_name();
  std::string names;
  for (const std::string& name : option.get_snames()) names += fmt::format("-{}, ", name);
  for (const std::string& name : option.get_lnames()) names += fmt::format("--{}, ", name);
  names.resize(names.size() - 2);
  const std::string type = option.get_type_size() == 0 ? "" : option.get_type_name();
  return type.empty() ? names : names + " " + type;
}

std::string options_of(const CLI::App& app) {
  std::string text;
  for (const CLI::Option* option : app.get_options()) {
    if (option->get_name() == "--help" || option->get_group().empty()) continue;
    const std::string otherwise = option->get_default_str();
    text += fmt::format(
        ".TP\n.B {}\n{}{}\n", escaped_for_roff(names_of(*option)),
        escaped_for_roff(option->get_description()),
        otherwise.empty() ? "" : escaped_for_roff(fmt::format(" (default: {})", otherwise)));
  }
  return text;
}

// Examples and lists keep their lines; the page fills the other text. It indents examples itself.
std::string footer_of(const CLI::App& app) {
  constexpr std::string_view kIndent = "  ";
  std::string text;
  bool as_it_is = false;
  std::istringstream lines(app.get_footer());
  for (std::string line; std::getline(lines, line);) {
    const bool example = line.starts_with(kIndent);
    const bool keep = example || line.starts_with("- ");
    if (text.empty() || line.empty()) text += ".PP\n";
    if (line.empty()) continue;
    if (keep != as_it_is) text += keep ? ".nf\n" : ".fi\n";
    as_it_is = keep;
    text += escaped_for_roff(example ? line.substr(kIndent.size()) : line) + '\n';
  }
  return as_it_is ? text + ".fi\n" : text;
}

std::string commands_below(const CLI::App& app, const std::string& path) {
  std::string text;
  for (const CLI::App* command : app.get_subcommands({})) {
    if (command->get_group().empty()) continue;  // hidden
    const std::string name = path + " " + command->get_name();
    if (command->get_subcommands({}).empty()) {
      text += fmt::format(".SS {}\n{}\n{}{}", escaped_for_roff(name),
                          escaped_for_roff(command->get_description()), options_of(*command),
                          footer_of(*command));
    }
    text += commands_below(*command, name);
  }
  return text;
}

}  // namespace

std::string manual_page(const CLI::App& app, const std::string& version) {
  const std::string& name = app.get_name();
  return fmt::format(
      ".TH {} 1 \"\" \"{}\" \"User Commands\"\n"
      ".SH NAME\n{} \\- assigns PCI devices to guests\n"
      ".SH SYNOPSIS\n.B {}\nCOMMAND [OPTION]... [ARGUMENT]...\n"
      ".SH DESCRIPTION\n{}\n"
      ".SH COMMANDS\n{}"
      ".SH EXIT STATUS\n"
      "0 done; 1 the answer is no; 2 wrong usage; 3 the system refused.\n"
      ".SH ENVIRONMENT\n"
      ".TP\n.B PASSTHRU_BACKEND\nthe default of 'run \\-\\-backend': auto, cdev or group\n"
      ".TP\n.B NO_COLOR\nif it is set and not empty, pictures have no colours\n"
      ".TP\n.B TERM\nif it is unset, empty or dumb, no escape sequences are printed, and "
      "'msix watch' prints lines\n"
      ".TP\n.B XDG_RUNTIME_DIR\nthe directory that has the inspect sockets of users other than "
      "root\n"
      ".SH FILES\n"
      ".TP\n.I /run/passthru\nthe driver that each bound device had before\n"
      ".TP\n.I /etc/driverctl.d/pci\\-DEVICE\n"
      "the driver of a device at each boot, written by 'bind \\-\\-persist' if driverctl is "
      "installed\n"
      ".TP\n.I /etc/udev/rules.d/10\\-passthru\\-DEVICE.rules\nthe same without driverctl\n"
      ".TP\n.I /run/passthru/vm\nthe inspect sockets of running VMMs of root\n"
      ".TP\n.I $XDG_RUNTIME_DIR/passthru/vm\nthe same of another user\n"
      ".SH SEE ALSO\n.BR {} (3),\n.BR lspci (8),\n.BR driverctl (8),\n.BR jq (1)\n",
      "PASSTHRU", escaped_for_roff(version), name, name, escaped_for_roff(app.get_description()),
      commands_below(app, name), name);
}

}  // namespace passthru::tools
