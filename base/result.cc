// SPDX-License-Identifier: MIT
#include "base/result.h"

#include <fmt/format.h>

#include <system_error>

namespace passthru {

Error Error::on(std::string bdf) && {
  device = std::move(bdf);
  return std::move(*this);
}

Error Error::at(uint32_t number) && {
  index = number;
  return std::move(*this);
}

Error Error::because(std::string why) && {
  cause = std::move(why);
  return std::move(*this);
}

Error Error::advise(std::string what_to_do) && {
  advice = std::move(what_to_do);
  return std::move(*this);
}

std::string Error::message() const {
  std::string line;
  if (!device.empty()) line += device + ": ";
  line += operation.find(' ') == std::string::npos ? "cannot call " : "cannot ";
  line += operation;
  if (index) line += fmt::format(" ({})", *index);
  line += ": " + (cause.empty() ? std::generic_category().message(code) : cause);
  if (!advice.empty()) line += ". " + advice;
  return line;
}

}  // namespace passthru
