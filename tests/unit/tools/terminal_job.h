// SPDX-License-Identifier: MIT
// A command as the job of a shell on a pseudo-terminal: the shell stops it, continues it and
// reports its end. A process without a shell cannot be stopped by Ctrl-Z.
#pragma once

#include <gtest/gtest.h>
#include <pty.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>
#include <utmp.h>

#include <array>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/fd.h"
#include "tests/unit/tools/live_output.h"

namespace passthru {

class TerminalJob {
 public:
  /// What the shell does with a stopped job.
  enum class Order : char { Foreground, Background, Terminate };

  TerminalJob() {
    int ours = -1;
    int its = -1;
    EXPECT_EQ(::openpty(&ours, &its, nullptr, nullptr, nullptr), 0);
    // Stays open, so that the job's last output and modes outlive the job.
    terminal_ = Fd(its);
    screen_ = std::make_unique<LiveOutput>(Fd(ours));
    resize(24, 80);
  }
  ~TerminalJob() {
    if (shell_ <= 0) return;
    ::kill(shell_, SIGKILL);  // the job ends with its shell
    ::waitpid(shell_, nullptr, 0);
  }
  TerminalJob(const TerminalJob&) = delete;
  TerminalJob& operator=(const TerminalJob&) = delete;

  /// Starts `command`, whose result is its exit status, with this TERM; null: without one. Call it
  /// before the test has other threads.
  void start(const std::function<int()>& command, const char* term = "xterm") {
    std::array<int, 2> ends{};
    ASSERT_EQ(::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends.data()), 0);
    Fd its(ends[1]);
    orders_ = Fd(ends[0]);
    std::fflush(stdout);
    shell_ = ::fork();
    if (shell_ == 0) ::_exit(run_shell(its.get(), command, term));
    its.reset();
    ASSERT_TRUE(eventually([&] { return receive(job_); })) << "the shell does not start the job";
  }

  [[nodiscard]] bool shows(const std::string& words) { return screen_->shows(words); }
  [[nodiscard]] const std::string& text() {
    screen_->take();
    return screen_->text();
  }
  void press(char key) const { EXPECT_EQ(::write(screen_->fd(), &key, 1), 1); }
  void resize(unsigned short rows, unsigned short columns) const {
    const winsize size{.ws_row = rows, .ws_col = columns, .ws_xpixel = 0, .ws_ypixel = 0};
    EXPECT_EQ(::ioctl(terminal_.get(), TIOCSWINSZ, &size), 0);
  }
  [[nodiscard]] std::vector<tcflag_t> modes() const {
    termios now{};
    EXPECT_EQ(::tcgetattr(terminal_.get(), &now), 0);
    std::vector<tcflag_t> all{now.c_lflag, now.c_iflag, now.c_oflag, now.c_cflag};
    all.insert(all.end(), std::begin(now.c_cc), std::end(now.c_cc));
    return all;
  }

  /// Waits until the job stops or ends. Returns its status as of waitpid(2).
  std::optional<int> next_status() {
    int status = 0;
    const bool told = eventually([&] {
      screen_->take();
      return receive(status);
    });
    screen_->take();
    return told ? std::optional(status) : std::nullopt;
  }
  /// Waits until the job has stopped. Returns the signal.
  std::optional<int> stopped() {
    const auto status = next_status();
    return status && WIFSTOPPED(*status) ? std::optional(WSTOPSIG(*status)) : std::nullopt;
  }
  /// Waits until the job has ended. Returns its exit status.
  std::optional<int> ended() {
    const auto status = next_status();
    return status && WIFEXITED(*status) ? std::optional(WEXITSTATUS(*status)) : std::nullopt;
  }
  void signal(int signal) const { EXPECT_EQ(::kill(job_, signal), 0); }
  /// Tells the shell what to do with the job, which has stopped.
  void order(Order order) const {
    EXPECT_EQ(::send(orders_.get(), &order, sizeof order, MSG_NOSIGNAL),
              static_cast<ssize_t>(sizeof order));
  }

 private:
  [[nodiscard]] bool receive(int& number) const {
    return ::recv(orders_.get(), &number, sizeof number, MSG_DONTWAIT) == sizeof number;
  }

  // Runs in the child process, a copy of the test, as the session's leader.
  int run_shell(int reports, const std::function<int()>& command, const char* term) const {
    constexpr int kNoTerminal = 98;
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    ::close(screen_->fd());
    termios its_modes{};
    if (::login_tty(::dup(terminal_.get())) != 0) return kNoTerminal;
    if (::tcgetattr(STDIN_FILENO, &its_modes) != 0) return kNoTerminal;
    std::signal(SIGTTOU, SIG_IGN);
    const pid_t job = ::fork();
    if (job == 0) ::_exit(run_job(command, term));
    const auto report = [reports](int number) {
      return ::send(reports, &number, sizeof number, MSG_NOSIGNAL) == sizeof number;
    };
    bool goes_on = report(job);
    while (goes_on) {
      int status = 0;
      ::waitpid(job, &status, WUNTRACED);
      Order order{};
      goes_on = report(status) && WIFSTOPPED(status) &&
                ::recv(reports, &order, sizeof order, 0) == sizeof order;
      if (!goes_on) break;
      // As a shell does while its user types the order.
      ::tcsetattr(STDIN_FILENO, TCSANOW, &its_modes);
      ::tcsetpgrp(STDIN_FILENO, order == Order::Foreground ? job : ::getpid());
      if (order == Order::Terminate) ::kill(-job, SIGTERM);
      ::kill(-job, SIGCONT);
    }
    return 0;
  }

  // Must not return or throw into the test's code.
  static int run_job(const std::function<int()>& command, const char* term) {
    constexpr int kThrown = 99;
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    ::setpgid(0, 0);
    ::tcsetpgrp(STDIN_FILENO, ::getpid());
    // As a shell does. The test's own parent may ignore some of them.
    for (const int each : {SIGINT, SIGQUIT, SIGTSTP, SIGTTIN, SIGTTOU}) std::signal(each, SIG_DFL);
    const rlimit no_core{};
    ::setrlimit(RLIMIT_CORE, &no_core);
    if (term == nullptr) {
      ::unsetenv("TERM");
    } else {
      ::setenv("TERM", term, 1);
    }
    try {
      const int status = command();
      std::fflush(stdout);
      return status;
    } catch (...) {
      return kThrown;
    }
  }

  Fd terminal_{};  // the side of the job
  std::unique_ptr<LiveOutput> screen_{};
  Fd orders_{};
  pid_t shell_ = 0;
  int job_ = 0;
};

}  // namespace passthru
