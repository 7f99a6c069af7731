// SPDX-License-Identifier: MIT
// The ring, the thread that empties it, and its end.
#include "vmm/output_writer.h"

#include <fmt/format.h>
#include <poll.h>
#include <pthread.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "base/thread.h"
#include "vmm/stop_signal.h"

namespace passthru {
namespace {

// A slow line shows progress after each write: at 9600 baud, this size takes half a second.
constexpr size_t kMaxWrite = 512;
// A signal that comes just before the thread's write interrupts nothing, so it is sent again.
constexpr std::chrono::milliseconds kSignalAgain{10};

struct Written {
  size_t size = 0;
  bool failed = false;
};

// Returns 0 bytes if a signal came, or if a nonblocking output has room again.
Written write_some(int fd, std::span<const std::byte> bytes) {
  const ssize_t size = ::write(fd, bytes.data(), bytes.size());
  if (size >= 0) return {.size = static_cast<size_t>(size)};
  if (errno == EINTR) return {};
  if (errno != EAGAIN) return {.failed = true};
  pollfd ready{.fd = fd, .events = POLLOUT, .revents = 0};
  static_cast<void>(::poll(&ready, 1, -1));  // a signal ends it; the next write reports errors
  return {};
}

}  // namespace

OutputWriter::OutputWriter(int fd, Options options)
    : fd_(fd), options_(std::move(options)), buffer_(options_.capacity) {}

OutputWriter::~OutputWriter() {
  finish();
}

Result<std::unique_ptr<OutputWriter>> OutputWriter::start(int fd, Options options) {
  PASSTHRU_TRY(install_stop_signal());
  std::unique_ptr<OutputWriter> writer(new OutputWriter(fd, std::move(options)));
  writer->thread_ = PASSTHRU_TRY(start_thread_signals_blocked(
      "start a thread for output", [writer = writer.get()] { writer->run(); }));
  ::pthread_setname_np(writer->thread_.native_handle(), "output");
  return writer;
}

void OutputWriter::write(std::span<const std::byte> bytes) {
  MutexLock lock(buffer_mutex_);
  if (!finishing_ && !dropping_ && bytes.size() <= room()) {
    put(bytes);
    return;
  }
  drop(bytes.size());
  if (finishing_) return;
  dropping_ = true;
  resume();  // at once, if only these bytes are too many for the buffer
}

void OutputWriter::drop(size_t size) {
  dropped_ += size;
  untold_ += size;
}

void OutputWriter::resume() {
  if (!dropping_ || size_ > buffer_.size() / 2) return;
  dropping_ = false;
  const std::string line =
      fmt::format("{}[{} bytes of {} were dropped]\r\n", line_ended_ ? "" : "\r\n",
                  std::exchange(untold_, uint64_t{0}), options_.what);
  if (line.size() <= room()) put(std::as_bytes(std::span(line)));
}

void OutputWriter::put(std::span<const std::byte> bytes) {
  if (bytes.empty()) return;
  if (size_ == 0) changed_.notify_all();
  const size_t end = (begin_ + size_) % buffer_.size();
  const size_t unbroken = std::min(bytes.size(), buffer_.size() - end);
  std::copy_n(bytes.begin(), unbroken, buffer_.begin() + static_cast<std::ptrdiff_t>(end));
  std::copy(bytes.begin() + static_cast<std::ptrdiff_t>(unbroken), bytes.end(), buffer_.begin());
  size_ += bytes.size();
  line_ended_ = bytes.back() == std::byte{'\n'};
}

void OutputWriter::run() {
  unblock_stop_signal();
  for (;;) {
    const std::span<const std::byte> chunk = wait_for_chunk();
    if (chunk.empty()) return;
    const Written written = write_some(fd_, chunk);
    remove(written.failed ? chunk.size() : written.size, !written.failed);
  }
}

std::span<const std::byte> OutputWriter::wait_for_chunk() {
  MutexLock lock(buffer_mutex_);
  while (size_ == 0 && !finishing_) changed_.wait(buffer_mutex_);
  if (size_ == 0 || gave_up_) {
    ended_ = true;
    changed_.notify_all();
    return {};
  }
  return std::span(buffer_).subspan(begin_, std::min({size_, buffer_.size() - begin_, kMaxWrite}));
}

void OutputWriter::remove(size_t size, bool written) {
  MutexLock lock(buffer_mutex_);
  begin_ = (begin_ + size) % buffer_.size();
  size_ -= size;
  removed_ += size;
  // No line about these bytes: its write would fail too.
  if (!written) dropped_ += size;
  resume();
  if (finishing_) changed_.notify_all();
}

void OutputWriter::finish() {
  if (!thread_.joinable()) return;
  {
    MutexLock lock(buffer_mutex_);
    finishing_ = true;
    changed_.notify_all();
    auto until = std::chrono::steady_clock::now() + options_.patience;
    for (uint64_t before = removed_; !ended_;) {
      if (gave_up_) {
        ::pthread_kill(thread_.native_handle(), stop_signal());
        changed_.wait_for(buffer_mutex_, kSignalAgain);
        continue;
      }
      changed_.wait_until(buffer_mutex_, until);
      if (std::exchange(before, removed_) != removed_) {
        until = std::chrono::steady_clock::now() + options_.patience;
      } else {
        gave_up_ = std::chrono::steady_clock::now() >= until;
      }
    }
    drop(std::exchange(size_, size_t{0}));
  }
  thread_.join();
}

uint64_t OutputWriter::dropped() const {
  MutexLock lock(buffer_mutex_);
  return dropped_;
}

}  // namespace passthru
