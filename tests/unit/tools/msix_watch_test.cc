// SPDX-License-Identifier: MIT
// Tests of `passthru msix watch` on a terminal: its keys, its screen, and that it restores the
// terminal. The terminal is a real pseudo-terminal; the VMM is scripted.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <termios.h>

#include <array>
#include <climits>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "tests/fakes/sysfs_tree.h"
#include "tests/unit/tools/made_up_sys.h"
#include "tests/unit/tools/scripted_vmm.h"
#include "tests/unit/tools/terminal_job.h"
#include "tools/commands.h"

namespace passthru::tools {
namespace {

namespace fs = std::filesystem;

constexpr tcflag_t kByLine = ICANON | ECHO;
constexpr const char* kOwnScreen = "\x1b[?1049h";
constexpr const char* kScreenBefore = "\x1b[m\x1b[?1049l";
// No test waits so long: what comes nevertheless does not wait for the interval.
constexpr const char* kHour = "3600";

class MsixWatch : public ::testing::Test {
 protected:
  void SetUp() override {
    tree.add({});
    if (!may_enter_sys(tree.root())) GTEST_SKIP() << "needs root to create a mount namespace";
    std::array<char, 32> name{"/tmp/passthru-XXXXXX"};
    ASSERT_NE(::mkdtemp(name.data()), nullptr);
    directory = name.data();
    vmm = std::make_unique<ScriptedVmm>(directory / "vm.sock", device);
  }
  void TearDown() override {
    job.reset();
    vmm.reset();
    if (!directory.empty()) fs::remove_all(directory);
  }

  /// Starts the command on the terminal and lets the VMM answer.
  void run(const std::string& options, const char* term = "xterm", unsigned max_looks = UINT_MAX) {
    const auto watch = [&]() -> int {
      if (!enter_sys(tree.root())) return kUsage;
      CLI::App app;
      int status = kDone;
      add_msix(app, status);
      app.parse("msix watch " + device.str() + " " + options + " --socket " +
                (directory / "vm.sock").string());
      return status;
    };
    ASSERT_NO_FATAL_FAILURE(job->start(watch, term));
    vmm->serve(max_looks);
  }
  /// Starts the command and waits for the first table.
  [[nodiscard]] bool start(const std::string& interval = "0.05", unsigned max_looks = UINT_MAX) {
    run("--interval " + interval, "xterm", max_looks);
    return shows_table();
  }
  [[nodiscard]] bool shows_table() const {
    return job->shows(device.str() + "  by rate   space: pause, s: sort, q: end\n");
  }
  [[nodiscard]] bool shows(const std::string& words) const { return job->shows(words); }
  void press(char key) const { job->press(key); }
  [[nodiscard]] bool echoes() const { return (job->modes()[0] & kByLine) != 0; }

  const Bdf device = kDevice;
  SysfsTree tree;
  fs::path directory{};
  std::unique_ptr<ScriptedVmm> vmm{};
  std::unique_ptr<TerminalJob> job = std::make_unique<TerminalJob>();
};

TEST_F(MsixWatch, EachSTakesTheNextOrder) {
  ASSERT_TRUE(start());
  ASSERT_TRUE(shows("VERDICT\n     1 ")) << "vector 1 has the highest rate";
  press('s');
  ASSERT_TRUE(shows("  by vector   space"));
  ASSERT_TRUE(shows("VERDICT\n     0 "));
  press('s');
  ASSERT_TRUE(shows("  by latency   space"));
  ASSERT_TRUE(shows("VERDICT\n     2 ")) << "only vector 2 was timed";
  ASSERT_TRUE(shows(" 2048 ns "));
  press('s');
  ASSERT_TRUE(shows("  by rate   space"));
  ASSERT_TRUE(shows("VERDICT\n     1 "));
}

TEST_F(MsixWatch, WhilePausedItDoesNotAskAndAfterwardsItDoes) {
  ASSERT_TRUE(start());
  press(' ');
  ASSERT_TRUE(shows("  by rate, paused   space"));
  const unsigned looks = vmm->looks();
  for (int intervals = 0; intervals < 3; ++intervals) ASSERT_TRUE(shows("  by rate, paused"));
  EXPECT_EQ(vmm->looks(), looks);
  press(' ');
  ASSERT_TRUE(shows("  by rate   space"));
  EXPECT_TRUE(eventually([&] {
    static_cast<void>(job->text());  // takes it
    return vmm->looks() > looks;
  }));
}

TEST_F(MsixWatch, ATerminalThatBecomesSmallerShowsLessAtOnce) {
  ASSERT_TRUE(start(kHour));
  ASSERT_TRUE(shows("\n     9 "));
  job->resize(8, 80);
  EXPECT_TRUE(shows("   ...  7 more\n"));
  job->resize(24, 60);
  EXPECT_TRUE(shows("\n\nVECTOR      RATE/s         COUNT  VIA        VERDICT\n"));
  EXPECT_EQ(vmm->looks(), 1U);
}

TEST_F(MsixWatch, TheFirstLookIsShownAtOnceWithoutRates) {
  ASSERT_TRUE(start(kHour));
  EXPECT_TRUE(shows("VERDICT\n     0           -            10  "));
}

TEST_F(MsixWatch, CtrlZGivesTheTerminalBackAndTakesItAgain) {
  const auto before = job->modes();
  ASSERT_TRUE(start(kHour));
  press('\x1a');
  ASSERT_EQ(job->stopped(), SIGTSTP) << job->text();
  EXPECT_TRUE(shows(kScreenBefore));
  EXPECT_THAT(job->text(), testing::EndsWith(kScreenBefore));
  EXPECT_EQ(job->modes(), before);
  job->order(TerminalJob::Order::Foreground);
  EXPECT_TRUE(shows(kOwnScreen));
  EXPECT_TRUE(shows_table());
  EXPECT_FALSE(echoes());
  press('q');
  EXPECT_EQ(job->ended(), kDone) << job->text();
  EXPECT_EQ(job->modes(), before);
}

TEST_F(MsixWatch, InTheBackgroundItStopsAgainAndDrawsNothing) {
  ASSERT_TRUE(start());
  press('\x1a');
  ASSERT_EQ(job->stopped(), SIGTSTP) << job->text();
  const std::string text = job->text();
  job->order(TerminalJob::Order::Background);
  ASSERT_EQ(job->stopped(), SIGTTOU) << job->text();
  EXPECT_EQ(job->text(), text);
  EXPECT_TRUE(echoes()) << "the modes are the shell's";
  job->order(TerminalJob::Order::Foreground);
  ASSERT_TRUE(shows(kScreenBefore));
  EXPECT_TRUE(shows(kOwnScreen));
  EXPECT_TRUE(shows_table());
}

TEST_F(MsixWatch, EndedWhileItIsStoppedItLeavesTheTerminalToTheShell) {
  ASSERT_TRUE(start());
  press('\x1a');
  ASSERT_EQ(job->stopped(), SIGTSTP) << job->text();
  const std::string text = job->text();
  const auto modes = job->modes();
  job->order(TerminalJob::Order::Terminate);
  EXPECT_EQ(job->ended(), kDone) << job->text();
  EXPECT_EQ(job->text(), text);
  EXPECT_EQ(job->modes(), modes);
}

TEST_F(MsixWatch, AfterAStopThatItDoesNotSeeItTakesTheModesAgain) {
  ASSERT_TRUE(start(kHour));
  job->signal(SIGSTOP);
  ASSERT_EQ(job->stopped(), SIGSTOP);
  job->order(TerminalJob::Order::Foreground);
  EXPECT_TRUE(shows_table());
  EXPECT_FALSE(echoes());
}

TEST_F(MsixWatch, BeforeCtrlBackslashEndsItTheTerminalIsAsItWas) {
  const auto before = job->modes();
  ASSERT_TRUE(start(kHour));
  press('\x1c');
  const auto status = job->next_status();
  ASSERT_TRUE(status && WIFSIGNALED(*status)) << job->text();
  EXPECT_EQ(WTERMSIG(*status), SIGQUIT);
  EXPECT_TRUE(shows(kScreenBefore));
  EXPECT_EQ(job->modes(), before);
}

TEST_F(MsixWatch, ATerminalWithoutEscapesGetsPlainLinesAtOnce) {
  for (const char* const term : {"dumb", "", static_cast<const char*>(nullptr)}) {
    job = std::make_unique<TerminalJob>();
    vmm.reset();
    fs::remove(directory / "vm.sock");
    vmm = std::make_unique<ScriptedVmm>(directory / "vm.sock", device);
    ASSERT_NO_FATAL_FAILURE(run("--interval 3600", term));
    EXPECT_TRUE(shows("vector 0 rate - count 10 via ")) << job->text();
    EXPECT_TRUE(echoes());
    press('\x03');
    EXPECT_EQ(job->ended(), kDone) << job->text();
    EXPECT_THAT(job->text(), testing::Not(testing::HasSubstr("\x1b")));
  }
}

TEST_F(MsixWatch, AKeyThatIsNoneChangesNothing) {
  ASSERT_TRUE(start());
  for (const char key : {'x', '\n', '\x1b', '\0'}) press(key);
  press('s');
  EXPECT_TRUE(shows("  by vector   space"));
  press('q');
  EXPECT_EQ(job->ended(), kDone) << job->text();
}

struct Ending {
  const char* name;
  char key;
};

class MsixWatchEnds : public MsixWatch, public testing::WithParamInterface<Ending> {};

TEST_P(MsixWatchEnds, AndTheTerminalIsAsItWas) {
  const auto before = job->modes();
  ASSERT_EQ(before[0] & kByLine, kByLine);
  ASSERT_TRUE(start());
  EXPECT_EQ(job->modes()[0] & kByLine, 0U) << "keys arrive one by one without echo";
  press(GetParam().key);
  EXPECT_EQ(job->ended(), kDone) << job->text();
  EXPECT_TRUE(shows(kScreenBefore)) << job->text();
  EXPECT_THAT(job->text(), testing::StartsWith(kOwnScreen));
  EXPECT_THAT(job->text(), testing::EndsWith(kScreenBefore));
  EXPECT_EQ(job->modes(), before);
}

INSTANTIATE_TEST_SUITE_P(Keys, MsixWatchEnds,
                         testing::Values(Ending{"Q", 'q'}, Ending{"CtrlC", '\x03'}),
                         [](const auto& each) { return std::string(each.param.name); });

TEST_F(MsixWatch, WhatEndsItIsToldOnTheScreenThatWasThereBefore) {
  const auto before = job->modes();
  ASSERT_TRUE(start("0.05", /*max_looks=*/3));
  EXPECT_EQ(job->ended(), kRefused) << job->text();
  EXPECT_TRUE(shows(kScreenBefore)) << job->text();
  EXPECT_TRUE(shows("passthru: cannot ask the VMM at " + (directory / "vm.sock").string() +
                    ": it closed the connection. Check whether the VMM still runs\n"))
      << job->text();
  EXPECT_EQ(job->modes(), before);
}

}  // namespace
}  // namespace passthru::tools
