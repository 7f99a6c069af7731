// SPDX-License-Identifier: MIT
// The C interface: version, errors, memory.
#include <cstdlib>

#include "capi/call.h"
#include "passthru/passthru.h"

extern "C" {

uint32_t passthru_version(void) {
  return PASSTHRU_VERSION;
}

const char* passthru_last_error(void) {
  return passthru::last_error();
}

void passthru_free(char* text) {
  std::free(text);
}

}  // extern "C"
