// SPDX-License-Identifier: MIT
// Tests of the moment at which Ctrl-C takes effect.
#include "tools/terminal.h"

#include <gtest/gtest.h>

#include <csignal>

namespace passthru::tools {
namespace {

TEST(SignalsBlocked, WaitUntilWhatIsUnderWayIsDone) {
  const StopFlag stop;
  {
    const SignalsBlocked blocked(StopFlag::kSignals);
    for (const int signal : {SIGINT, SIGTERM, SIGHUP}) ::raise(signal);
    EXPECT_FALSE(StopFlag::is_set());
  }
  EXPECT_TRUE(StopFlag::is_set());
  const StopFlag another;
  EXPECT_FALSE(StopFlag::is_set()) << "an earlier signal does not stop a new operation";
}

}  // namespace
}  // namespace passthru::tools
