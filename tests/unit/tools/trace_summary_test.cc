// SPDX-License-Identifier: MIT
// Tests of the summary of `passthru trace`, after docs/json.md.
#include "tools/trace/trace_summary.h"

#include <gtest/gtest.h>

namespace passthru::tools {
namespace {

TraceSummary traced() {
  TraceSummary summary{.device = "0000:00:02.0",
                       .name = "a drive",
                       .file = "x.json",
                       .seconds = 2.5,
                       .counts = {.slices = {{0, 3}, {4, 10}}, .lost = 1},
                       .delivered = {{0, 4}, {4, 10}}};
  summary.counts.marks["masked"] = 2;
  return summary;
}

TEST(TraceSummary, AsJsonHasEveryMemberAndEveryKindOfMark) {
  EXPECT_EQ(
      trace_json(traced()),
      (Json{{"device", "0000:00:02.0"},
            {"name", "a drive"},
            {"file", "x.json"},
            {"seconds", 2.5},
            {"interrupts", 13},
            {"vectors",
             {{{"vector", 0}, {"slices", 3}, {"delivered", 4}},
              {{"vector", 4}, {"slices", 10}, {"delivered", 10}}}},
            {"marks",
             {{"bar_moved", 0}, {"masked", 2}, {"reset", 0}, {"restored", 0}, {"unmasked", 0}}},
            {"lost", 1},
            {"ended", nullptr}}));
}

TEST(TraceSummary, AVectorWhoseInterruptsAreAllLostIsThereToo) {
  TraceSummary summary = traced();
  summary.delivered[7] = 2;
  EXPECT_EQ(trace_json(summary)["vectors"][2],
            (Json{{"vector", 7}, {"slices", 0}, {"delivered", 2}}));
}

TEST(TraceSummary, WhatEndedItIsThereAndNothingIsSaidOfCountersThatCouldNotBeAsked) {
  TraceSummary summary = traced();
  summary.delivered.clear();
  summary.ended = "the VMM has hung up";
  const Json json = trace_json(summary);
  EXPECT_EQ(json["ended"], "the VMM has hung up");
  EXPECT_EQ(json["vectors"][1], (Json{{"vector", 4}, {"slices", 10}, {"delivered", nullptr}}));
}

TEST(TraceSummary, AFileThatDidNotTakeItAllIsNotSaidToHaveIt) {
  TraceSummary summary = traced();
  summary.counts.lost = 0;
  summary.whole = false;
  summary.ended = "write x.json: No space left on device. Name another file with -o";
  EXPECT_EQ(trace_text(summary),
            "0000:00:02.0: x.json was not written: the trace had 13 interrupts and 2 marks\n");
  const Json json = trace_json(summary);
  EXPECT_TRUE(json["file"].is_null());
  EXPECT_EQ(json["ended"], summary.ended);
}

TEST(TraceSummary, AsTextSaysWhatIsMissing) {
  TraceSummary summary = traced();
  EXPECT_EQ(trace_text(summary),
            "0000:00:02.0: 13 interrupts and 2 marks in x.json\n"
            "1 came too fast and are not in the file\n");
  summary.counts.lost = 0;
  EXPECT_EQ(trace_text(summary), "0000:00:02.0: 13 interrupts and 2 marks in x.json\n");
  summary.watched = false;
  EXPECT_EQ(
      trace_text(summary),
      "0000:00:02.0: 13 interrupts and 2 marks in x.json\n"
      "No vector of the device was in use: the guest has no driver for it, or its driver uses "
      "INTx, which is not traced\n");
}

}  // namespace
}  // namespace passthru::tools
