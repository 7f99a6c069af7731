/* SPDX-License-Identifier: MIT
 * A program that uses the installed library: fails unless the headers and the library have the same
 * version.
 */
#include <passthru/passthru.h>
#include <stdio.h>

int main(void) {
  if (passthru_version() != PASSTHRU_VERSION) {
    fprintf(stderr, "the library has version 0x%x, its headers have version 0x%x\n",
            (unsigned)passthru_version(), (unsigned)PASSTHRU_VERSION);
    return 1;
  }
  return 0;
}
