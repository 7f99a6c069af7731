// SPDX-License-Identifier: MIT
// Owns what another process writes on a terminal or into a pipe, read as it comes, for tests of
// what goes on until it is ended.
#pragma once

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <iterator>
#include <string>
#include <utility>

#include "base/fd.h"
#include "tests/fakes/eventually.h"

namespace passthru {

class LiveOutput {
 public:
  /// From the terminal's other side, or the pipe's.
  explicit LiveOutput(Fd from) : from_(std::move(from)) {
    ::fcntl(from_.get(), F_SETFL, O_NONBLOCK);
  }

  /// Waits for these words, after those that were waited for last.
  [[nodiscard]] bool shows(const std::string& words) {
    return eventually([&] {
      take();
      const size_t at = text_.find(words, seen_);
      if (at == text_.npos) return false;
      seen_ = at + words.size();
      return true;
    });
  }

  /// What has come since, without waiting: whoever writes into a full pipe would wait for us.
  void take() {
    std::array<char, 4096> bytes{};
    ssize_t got = 0;
    while ((got = ::read(from_.get(), bytes.data(), bytes.size())) > 0) {
      // A terminal makes two of the end of a line.
      std::remove_copy(bytes.begin(), bytes.begin() + got, std::back_inserter(text_), '\r');
    }
  }

  [[nodiscard]] const std::string& text() const { return text_; }
  [[nodiscard]] int fd() const { return from_.get(); }

 private:
  Fd from_;
  std::string text_{};
  size_t seen_ = 0;
};

}  // namespace passthru
