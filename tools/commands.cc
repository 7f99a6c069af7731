// SPDX-License-Identifier: MIT
// The one place that prints errors.
#include "tools/commands.h"

#include <cstdio>

namespace passthru::tools {
namespace {

void tell(const Error& error) {
  say(error_line(error));
}

}  // namespace

std::string error_line(const Error& error) {
  return "passthru: " + error.message() + "\n";
}

void say(const std::string& text) {
  static_cast<void>(std::fputs(text.c_str(), stderr));  // a closed stderr is not an error
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
