// SPDX-License-Identifier: MIT
// Raw mode and the escape key.
#include "vmm/console.h"

#include <unistd.h>

#include <cerrno>
#include <utility>

namespace passthru {
namespace {

constexpr std::byte kControlA{1};
constexpr std::byte kQuit{'x'};

}  // namespace

Console::Console(int in, std::unique_ptr<OutputWriter> output)
    : in_(in), output_(std::move(output)) {}

Result<std::unique_ptr<Console>> Console::open(int in, int out) {
  std::unique_ptr<Console> console(
      new Console(in, PASSTHRU_TRY(OutputWriter::start(out, {.what = "console output"}))));
  // Changing the mode from the background would stop the process.
  if (in < 0 || !::isatty(in) || ::tcgetpgrp(in) != ::getpgrp()) return console;
  if (::tcgetattr(in, &console->mode_before_) != 0) return console;
  termios raw = console->mode_before_;
  ::cfmakeraw(&raw);
  if (::tcsetattr(in, TCSANOW, &raw) == 0) console->terminal_ = in;
  return console;
}

Console::~Console() {
  output_->finish();
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
    // Only a terminal has an escape key; all bytes of a file are the guest's.
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

}  // namespace passthru
