// SPDX-License-Identifier: MIT
// Owns looking many times: what `passthru msix show BDF --json` does, and prints, so many times in
// one process. To start a process takes the lab machine's only CPU longer than to look.
// usage: passthru_look BDF SHOWS. Exits with the first status that is not 0.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <cstdlib>
#include <string>

#include "tools/commands.h"

int main(int argc, char** argv) {
  using namespace passthru::tools;
  if (argc != 3) {
    std::fputs("usage: passthru_look BDF SHOWS\n", stderr);
    return kUsage;
  }
  const std::string words = std::string("msix show --json ") + argv[1];
  const unsigned long shows = std::strtoul(argv[2], nullptr, 0);
  int status = kDone;
  for (unsigned long show = 0; show < shows && status == kDone; ++show) {
    CLI::App app;
    add_msix(app, status);
    app.parse(words);
  }
  return status;
}
