// SPDX-License-Identifier: MIT
// The one place that prints errors.
#include "tools/commands.h"

#include <fmt/format.h>

#include <cstdio>

#include "tools/printable.h"
#include "tools/terminal.h"

namespace passthru::tools {
namespace {

void tell(const Error& error) {
  say(error_line(error));
}

}  // namespace

std::string error_line(const Error& error) {
  return printable("passthru: " + error.message()) + "\n";
}

void print_text(const std::string& text) {
  fmt::print("{}", printable_lines(text));
}

void print_wrapped(const std::string& text, size_t hang) {
  fmt::print("{}", wrapped_lines(printable_lines(text), terminal_columns(), hang));
}

void say(const std::string& text) {
  static_cast<void>(
      std::fputs(printable_lines(text).c_str(), stderr));  // a closed stderr is not an error
}

int report_error(const Error& error) {
  tell(error);
  return kRefused;
}

int wrong_usage(const Error& error) {
  tell(error);
  return kUsage;
}

}  // namespace passthru::tools
