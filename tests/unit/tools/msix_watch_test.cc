// SPDX-License-Identifier: MIT
// Tests of `passthru msix watch` on a terminal: its keys, its screen, and that it restores the
// terminal. The terminal is a real pseudo-terminal; the VMM is scripted.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <pty.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>
#include <utmp.h>

#include <array>
#include <climits>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "pci/host_interrupts.h"
#include "tests/unit/tools/live_output.h"
#include "tests/unit/tools/scripted_vmm.h"
#include "tools/commands.h"

namespace passthru::tools {
namespace {

namespace fs = std::filesystem;

constexpr tcflag_t kByLine = ICANON | ECHO;
constexpr const char* kOwnScreen = "\x1b[?1049h";
constexpr const char* kScreenBefore = "\x1b[?1049l";

/// A real function, because the command reads the machine's sysfs. The host's counts of a busy
/// function would disturb the test.
std::optional<Bdf> any_quiet_function() {
  const Sysfs sysfs;
  for (const Bdf bdf : sysfs.functions().value_or(std::vector<Bdf>{})) {
    if (host_interrupts(sysfs, bdf).empty()) return bdf;
  }
  return std::nullopt;
}

class MsixWatch : public ::testing::Test {
 protected:
  void SetUp() override {
    const auto found = any_quiet_function();
    if (!found) GTEST_SKIP() << "needs a PCI function that uses no interrupts";
    device = *found;
    std::array<char, 32> name{"/tmp/passthru-XXXXXX"};
    ASSERT_NE(::mkdtemp(name.data()), nullptr);
    directory = name.data();
    vmm = std::make_unique<ScriptedVmm>(directory / "vm.sock", device);
    int ours = -1;
    int its = -1;
    ASSERT_EQ(::openpty(&ours, &its, nullptr, nullptr, nullptr), 0);
    // Stays open, so that the process's last output and modes outlive the process.
    terminal = Fd(its);
    screen = std::make_unique<LiveOutput>(Fd(ours));
    resize(24);
  }
  void TearDown() override {
    if (process > 0) {
      ::kill(process, SIGKILL);
      ::waitpid(process, nullptr, 0);
    }
    vmm.reset();
    if (!directory.empty()) fs::remove_all(directory);
  }

  /// Starts the command on the terminal and waits for the first table.
  [[nodiscard]] bool start(unsigned max_looks = UINT_MAX) {
    std::fflush(stdout);
    process = ::fork();
    if (process == 0) ::_exit(watch());
    vmm->serve(max_looks);
    return screen->shows(device.str() + "  by rate   space: pause, s: sort, q: end\n");
  }
  [[nodiscard]] bool shows(const std::string& words) { return screen->shows(words); }
  void press(char key) const { EXPECT_EQ(::write(screen->fd(), &key, 1), 1); }
  void resize(unsigned short rows) const {
    const winsize size{.ws_row = rows, .ws_col = 80, .ws_xpixel = 0, .ws_ypixel = 0};
    EXPECT_EQ(::ioctl(terminal.get(), TIOCSWINSZ, &size), 0);
  }
  /// Waits until the process has ended. Returns its exit status.
  std::optional<int> ended() {
    int status = 0;
    const bool gone = eventually([&] {
      screen->take();
      return ::waitpid(process, &status, WNOHANG) == process;
    });
    if (!gone) return std::nullopt;
    process = 0;
    return WIFEXITED(status) ? std::optional(WEXITSTATUS(status)) : std::nullopt;
  }
  [[nodiscard]] std::vector<tcflag_t> modes() const {
    termios now{};
    EXPECT_EQ(::tcgetattr(terminal.get(), &now), 0);
    std::vector<tcflag_t> all{now.c_lflag, now.c_iflag, now.c_oflag, now.c_cflag};
    all.insert(all.end(), std::begin(now.c_cc), std::end(now.c_cc));
    return all;
  }

  Bdf device{};
  fs::path directory{};
  std::unique_ptr<ScriptedVmm> vmm{};
  std::unique_ptr<LiveOutput> screen{};
  Fd terminal{};  // the side of the process
  pid_t process = 0;

 private:
  // Runs in the child process, a copy of the test. Must not return or throw into the test's code.
  int watch() const {
    constexpr int kNoTerminal = 98, kThrown = 99;
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    ::close(screen->fd());
    if (::login_tty(::dup(terminal.get())) != 0) return kNoTerminal;
    try {
      CLI::App app;
      int status = kDone;
      add_msix(app, status);
      app.parse("msix watch " + device.str() + " --interval 0.05 --socket " +
                (directory / "vm.sock").string());
      std::fflush(stdout);
      return status;
    } catch (...) {
      return kThrown;
    }
  }
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
    screen->take();
    return vmm->looks() > looks;
  }));
}

TEST_F(MsixWatch, ATerminalThatBecomesSmallerShowsLess) {
  ASSERT_TRUE(start());
  ASSERT_TRUE(shows("\n     9 "));
  resize(8);
  EXPECT_TRUE(shows("   ...  7 more\n"));
}

TEST_F(MsixWatch, AKeyThatIsNoneChangesNothing) {
  ASSERT_TRUE(start());
  for (const char key : {'x', '\n', '\x1b', '\0'}) press(key);
  press('s');
  EXPECT_TRUE(shows("  by vector   space"));
  press('q');
  EXPECT_EQ(ended(), kDone) << screen->text();
}

struct Ending {
  const char* name;
  char key;
};

class MsixWatchEnds : public MsixWatch, public testing::WithParamInterface<Ending> {};

TEST_P(MsixWatchEnds, AndTheTerminalIsAsItWas) {
  const auto before = modes();
  ASSERT_EQ(before[0] & kByLine, kByLine);
  ASSERT_TRUE(start());
  EXPECT_EQ(modes()[0] & kByLine, 0U) << "keys arrive one by one without echo";
  press(GetParam().key);
  EXPECT_EQ(ended(), kDone) << screen->text();
  EXPECT_TRUE(shows(kScreenBefore)) << screen->text();
  EXPECT_THAT(screen->text(), testing::StartsWith(kOwnScreen));
  EXPECT_THAT(screen->text(), testing::EndsWith(kScreenBefore));
  EXPECT_EQ(modes(), before);
}

INSTANTIATE_TEST_SUITE_P(Keys, MsixWatchEnds,
                         testing::Values(Ending{"Q", 'q'}, Ending{"CtrlC", '\x03'}),
                         [](const auto& each) { return std::string(each.param.name); });

TEST_F(MsixWatch, WhatEndsItIsToldOnTheScreenThatWasThereBefore) {
  const auto before = modes();
  ASSERT_TRUE(start(/*max_looks=*/3));
  EXPECT_EQ(ended(), kRefused) << screen->text();
  EXPECT_TRUE(shows(kScreenBefore)) << screen->text();
  EXPECT_TRUE(shows("passthru: cannot ask the VMM at " + (directory / "vm.sock").string() +
                    ": it closed the connection. Check whether the VMM still runs\n"))
      << screen->text();
  EXPECT_EQ(modes(), before);
}

}  // namespace
}  // namespace passthru::tools
