// SPDX-License-Identifier: MIT
// Owns raw mode, the escape key and the writing of one byte.
#include "vmm/console.h"

#include <poll.h>
#include <unistd.h>

#include <cerrno>

namespace passthru {
namespace {

constexpr std::byte kControlA{1};
constexpr std::byte kQuit{'x'};

}  // namespace

std::unique_ptr<Console> Console::open(int in, int out) {
  std::unique_ptr<Console> console(new Console(in, out));
  // Changing the mode from the background would stop the process.
  if (in < 0 || !::isatty(in) || ::tcgetpgrp(in) != ::getpgrp()) return console;
  if (::tcgetattr(in, &console->mode_before_) != 0) return console;
  termios raw = console->mode_before_;
  ::cfmakeraw(&raw);
  if (::tcsetattr(in, TCSANOW, &raw) == 0) console->terminal_ = in;
  return console;
}

Console::~Console() {
  if (terminal_ >= 0) ::tcsetattr(terminal_, TCSANOW, &mode_before_);
}

Console::Input Console::read(std::span<std::byte> buffer) {
  const ssize_t got = ::read(in_, buffer.data(), buffer.size());
  if (got < 0 && (errno == EINTR || errno == EAGAIN)) return {};
  if (got <= 0) {
    in_ = -1;
    return {};
  }
  Input input;
  for (const std::byte byte : buffer.first(static_cast<size_t>(got))) {
    // Only a terminal has a person behind it; a file's bytes are all the guest's.
    if (terminal_ >= 0 && escape_) {
      escape_ = false;
      if (byte == kQuit) input.quit = true;
      if (byte != kControlA) continue;
    } else if (terminal_ >= 0 && byte == kControlA) {
      escape_ = true;
      continue;
    }
    buffer[input.size++] = byte;
  }
  return input;
}

void Console::write(std::byte byte) const {
  while (::write(out_, &byte, 1) < 0 && errno == EAGAIN) {
    // Somebody made our output nonblocking. A signal ends the wait: the VM may be ending.
    pollfd ready{.fd = out_, .events = POLLOUT, .revents = 0};
    if (::poll(&ready, 1, -1) < 0) return;
  }
}

}  // namespace passthru
