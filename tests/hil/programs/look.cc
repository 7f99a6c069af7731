// SPDX-License-Identifier: MIT
// A program that runs `passthru msix show BDF --json --socket SOCKET` many times in one process.
// On the lab machine's only CPU, the start of a process takes longer than an inspection.
// usage: passthru_look BDF SOCKET
// For each number on stdin it runs that many inspections, then writes the number to descriptor 3.
// It exits with the first status other than 0.
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
