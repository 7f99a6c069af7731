// SPDX-License-Identifier: MIT
// Owns looking many times: what `passthru msix show BDF --json --socket SOCKET` does, and prints,
// so many times in one process. To start one takes the lab machine's only CPU longer than to look.
// usage: passthru_look BDF SOCKET. For each number that it reads: so many shows, then the number,
// on descriptor 3. Exits with the first status that is not 0.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <iostream>
#include <string>

#include "tools/commands.h"

int main(int argc, char** argv) {
  using namespace passthru::tools;
  if (argc != 3) {
    std::fputs("usage: passthru_look BDF SOCKET <NUMBERS 3>NUMBERS\n", stderr);
    return kUsage;
  }
  const std::string words = std::string("msix show ") + argv[1] + " --json --socket " + argv[2];
  int status = kDone;
  for (unsigned shows = 0; std::cin >> shows;) {
    for (unsigned show = 0; show < shows; ++show) {
      CLI::App app;
      add_msix(app, status);
      app.parse(words);
      if (status != kDone) return status;
    }
    dprintf(3, "%u\n", shows);
  }
  return status;
}
