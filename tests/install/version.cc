// SPDX-License-Identifier: MIT
// The same as version.c, with the headers for C++.
#include <passthru/passthru.h>

#include <passthru/passthru.hpp>

int main() {
  return passthru_version() == PASSTHRU_VERSION ? 0 : 1;
}
