// SPDX-License-Identifier: MIT
// Test that a trace's label survives packing and unpacking.
#include "irq/trace_label.h"

#include <gtest/gtest.h>

namespace passthru {
namespace {

TEST(TraceLabel, IsReadAsItWasPacked) {
  for (const char* text : {"0000:00:00.0", "ffff:ff:1f.7", "1234:56:07.3"}) {
    for (const uint16_t vector : {uint16_t{0}, uint16_t{1}, uint16_t{2047}}) {
      const TraceLabel label{.device = *Bdf::parse(text), .vector = vector};
      EXPECT_EQ(TraceLabel::of(label.packed()), label) << text << " " << vector;
    }
  }
}

}  // namespace
}  // namespace passthru
