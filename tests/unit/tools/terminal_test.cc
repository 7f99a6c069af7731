// SPDX-License-Identifier: MIT
// When Ctrl-C ends what is under way.
#include "tools/terminal.h"

#include <gtest/gtest.h>

#include <csignal>

namespace passthru::tools {
namespace {

TEST(SignalsHeld, WaitUntilWhatIsUnderWayIsDone) {
  const StopFlag stop;
  {
    const SignalsHeld held;
    for (const int signal : {SIGINT, SIGTERM, SIGHUP}) ::raise(signal);
    EXPECT_FALSE(StopFlag::is_set());
  }
  EXPECT_TRUE(StopFlag::is_set());
  const StopFlag another;
  EXPECT_FALSE(StopFlag::is_set()) << "what ended the last one does not end the next";
}

}  // namespace
}  // namespace passthru::tools
