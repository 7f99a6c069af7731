// SPDX-License-Identifier: MIT
// The output of another process on a terminal or pipe, read while the process runs. For tests of
// commands that run until they are stopped.
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
  /// Reads from the terminal's other side, or from the pipe.
  explicit LiveOutput(Fd from) : from_(std::move(from)) {
    ::fcntl(from_.get(), F_SETFL, O_NONBLOCK);
  }

  /// Waits until these words appear after those of the last call.
  [[nodiscard]] bool shows(const std::string& words) {
    return eventually([&] {
      take();
      const size_t at = text_.find(words, seen_);
      if (at == text_.npos) return false;
      seen_ = at + words.size();
      return true;
    });
  }

  /// Reads the available output without waiting. Call it often: a writer blocks on a full pipe.
  void take() {
    std::array<char, 4096> bytes{};
    ssize_t got = 0;
    while ((got = ::read(from_.get(), bytes.data(), bytes.size())) > 0) {
      // A terminal turns "\n" into "\r\n".
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
