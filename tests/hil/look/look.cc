// SPDX-License-Identifier: MIT
// Owns looking many times: what `passthru msix show BDF --json --socket SOCKET` does, and prints,
// so many times in one process. To start one takes the lab machine's only CPU longer than to look.
// usage: passthru_look BDF SOCKET SHOWS. Exits with the first status that is not 0.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <cstdlib>
#include <string>

#include "tools/commands.h"

int main(int argc, char** argv) {
  using namespace passthru::tools;
  if (argc != 4) {
    std::fputs("usage: passthru_look BDF SOCKET SHOWS\n", stderr);
    return kUsage;
  }
  const std::string words = std::string("msix show ") + argv[1] + " --json --socket " + argv[2];
  const unsigned long shows = std::strtoul(argv[3], nullptr, 0);
  int status = kDone;
  for (unsigned long show = 0; show < shows && status == kDone; ++show) {
    CLI::App app;
    add_msix(app, status);
    app.parse(words);
  }
  return status;
}
