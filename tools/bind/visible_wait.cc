// SPDX-License-Identifier: MIT
// The child keeps nothing that another process could wait for: not the terminal, nor a pipe.
#include "tools/bind/visible_wait.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <optional>

#include "base/fd.h"

namespace passthru::tools {
namespace {

using Clock = std::chrono::steady_clock;

// The answer of the child: the errno, 0 for success, and the cause behind it.
std::string encoded(const Result<void>& done) {
  const int code = done ? 0 : done.error().code;
  std::string text(sizeof code, '\0');
  std::memcpy(text.data(), &code, sizeof code);
  return done ? text : text + done.error().cause;
}

Result<void> decoded(const std::string& answer, const FileChange& change) {
  const std::string operation = "write " + change.file.string();
  int code = 0;
  if (answer.size() < sizeof code)
    return fail(EIO, operation, "the process that wrote it has ended without an answer");
  std::memcpy(&code, answer.data(), sizeof code);
  if (code == 0) return {};
  return fail(code, operation, answer.substr(sizeof code));
}

[[noreturn]] void write_in_child(const FileChange& change, int answer) {
  constexpr int kAnswer = 3;
  ::setsid();
  if (answer != kAnswer) ::dup2(answer, kAnswer);
  ::close_range(kAnswer + 1, ~0U, 0);
  const int null = ::open("/dev/null", O_RDWR);
  for (const int standard : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) ::dup2(null, standard);
  ::close(null);
  const std::string text = encoded(apply_to_files(change));
  const ssize_t written = ::write(kAnswer, text.data(), text.size());
  ::_exit(written == static_cast<ssize_t>(text.size()) ? EXIT_SUCCESS : EXIT_FAILURE);
}

// Takes a pending signal that asks the command to end. Returns whether there was one.
bool take_stop_signal() {
  sigset_t stop{};
  ::sigemptyset(&stop);
  for (const int signal : {SIGINT, SIGTERM, SIGHUP}) ::sigaddset(&stop, signal);
  const timespec now{};
  return ::sigtimedwait(&stop, nullptr, &now) > 0;
}

// Returns the whole answer, or nothing if a signal has ended the wait.
std::optional<std::string> wait_for_answer(int fd, const FileChange& change,
                                           const WaitOptions& options) {
  constexpr int kStep = 50;  // milliseconds
  const auto start = Clock::now();
  bool said = false;
  std::string answer;
  for (;;) {
    pollfd ready{.fd = fd, .events = POLLIN, .revents = 0};
    if (::poll(&ready, 1, kStep) > 0) {
      std::array<char, 512> part{};
      const ssize_t size = ::read(fd, part.data(), part.size());
      if (size <= 0) return answer;
      answer.append(part.data(), static_cast<size_t>(size));
      continue;
    }
    if (!said && Clock::now() - start >= options.silence) {
      said = true;
      options.say(fmt::format(
          "passthru: still waiting for the kernel: '{}'. Ctrl-C stops waiting\n", change.str()));
    }
    if (said && take_stop_signal()) return std::nullopt;
  }
}

}  // namespace

Result<void> apply_visibly(const FileChange& change, const WaitOptions& options) {
  if (change.kind != FileChange::Kind::Write) return apply_to_files(change);
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) return fail(errno, "create a pipe");
  const Fd answer(ends[0]);
  Fd of_child(ends[1]);
  const pid_t child = ::fork();
  if (child < 0) return fail(errno, "start a process");
  if (child == 0) write_in_child(change, of_child.get());
  of_child = Fd();
  const auto text = wait_for_answer(answer.get(), change, options);
  if (!text) return fail(ECANCELED, "write " + change.file.string());
  ::waitpid(child, nullptr, 0);
  return decoded(*text, change);
}

}  // namespace passthru::tools
