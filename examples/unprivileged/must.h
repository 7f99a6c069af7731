// SPDX-License-Identifier: MIT
// Failure of the example: a line on stderr and exit status 3, as passthru does.
#pragma once

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>

enum { kWrongUsage = 2, kRefused = 3 };

[[noreturn]] inline void refuse(const std::string& what) {
  std::fprintf(stderr, "unprivileged: %s\n", what.c_str());
  std::exit(kRefused);
}

inline void must(bool done, const std::string& what) {
  if (!done) refuse("cannot " + what + ": " + std::strerror(errno));
}
