// SPDX-License-Identifier: MIT
// Tests of the text about uncorrectable errors.
#include "pci/aer.h"

#include <gtest/gtest.h>

namespace passthru {
namespace {

TEST(Aer, Case16TheTextNamesEveryBitAndWhichAreFatal) {
  struct Case {
    UncorrectableErrors errors;
    bool fatal;
    const char* text;
  };
  const Case cases[] = {
      {{0x0004'0000, 0x0046'2030}, true, "fatal error (AER): malformed TLP (status 0x00040000)"},
      {{0x0000'8000, 0x0046'2030},
       false,
       "error that is not fatal (AER): completer abort (status 0x00008000)"},
      {{0x0010'0030, 0x0046'2030},
       true,
       "fatal error (AER): data link protocol, surprise down; error that is not fatal: "
       "unsupported request (status 0x00100030)"},
      {{0x8000'0001, 0x8000'0000},
       true,
       "fatal error (AER): bit 31; error that is not fatal: bit 0 (status 0x80000001)"},
  };
  for (const Case& c : cases) {
    EXPECT_EQ(to_string(c.errors), c.text);
    EXPECT_EQ(c.errors.fatal(), c.fatal) << c.text;
  }
}

}  // namespace
}  // namespace passthru
