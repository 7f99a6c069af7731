// SPDX-License-Identifier: MIT
// The one place that prints errors, and the reading of device names.
#include "tools/commands.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>

#include "tools/printable.h"

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

CLI::Validator number_from(double least, double most) {
  return {[least, most](std::string& word) -> std::string {
            double value = 0;
            if (CLI::detail::lexical_cast(word, value) && value >= least && value <= most)
              return {};
            return fmt::format("'{}' is not a number from {:g} to {:g}", word, least, most);
          },
          ""};
}

Result<std::vector<Bdf>> parse_devices(const std::vector<std::string>& words) {
  std::vector<Bdf> devices;
  for (const std::string& word : words) {
    const Bdf bdf = PASSTHRU_TRY(Bdf::parse(word));
    if (std::find(devices.begin(), devices.end(), bdf) == devices.end()) devices.push_back(bdf);
  }
  return devices;
}

}  // namespace passthru::tools
