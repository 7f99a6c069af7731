// SPDX-License-Identifier: MIT
// A program of a guest that reads 4 KiB at random from a drive, past all caches: first once, then
// for a time with 1 and with 32 reads in flight. It prints a line when each begins and ends, for an
// observer outside. usage: read-rate DEVICE SECONDS
#include <fcntl.h>
#include <liburing.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace {

constexpr unsigned kSize = 4096;
constexpr unsigned kDepth = 32;
using Clock = std::chrono::steady_clock;

alignas(kSize) std::array<std::array<char, kSize>, kDepth> buffers;

[[noreturn]] void fail(const char* what, int error) {
  std::printf("read-rate: %s: %s\n", what, std::strerror(error));
  std::exit(1);
}

/// Waits up to 30 s for the device's node, which its driver creates.
int wait_for(const char* device) {
  for (int i = 0; i < 30'000; ++i) {
    const int fd = ::open(device, O_RDONLY | O_DIRECT | O_CLOEXEC);
    if (fd >= 0) return fd;
    ::usleep(1000);
  }
  fail(device, errno);
}

/// The same sequence in each run.
class Places {
 public:
  explicit Places(int fd) : count_(static_cast<uint64_t>(::lseek(fd, 0, SEEK_END)) / kSize) {
    if (count_ == 0) fail("the drive is too small", EINVAL);
  }
  uint64_t next() {
    state_ ^= state_ << 13;
    state_ ^= state_ >> 7;
    state_ ^= state_ << 17;
    return state_ % count_ * kSize;
  }

 private:
  const uint64_t count_;
  uint64_t state_ = 0x9e3779b97f4a7c15;
};

void read_once(int fd, uint64_t place) {
  const ssize_t got = ::pread(fd, buffers[0].data(), kSize, static_cast<off_t>(place));
  if (got != kSize) fail("pread", got < 0 ? errno : EIO);
}

uint64_t one_in_flight(int fd, Places& places, Clock::time_point end) {
  uint64_t reads = 0;
  for (; Clock::now() < end; ++reads) read_once(fd, places.next());
  return reads;
}

uint64_t many_in_flight(int fd, Places& places, Clock::time_point end) {
  io_uring ring{};
  const int made = io_uring_queue_init(kDepth, &ring, 0);
  if (made != 0) fail("io_uring_setup", -made);
  const auto prepare = [&](uint64_t buffer) {
    io_uring_sqe* entry = io_uring_get_sqe(&ring);
    io_uring_prep_read(entry, fd, buffers[buffer].data(), kSize, places.next());
    io_uring_sqe_set_data64(entry, buffer);
  };
  for (uint64_t buffer = 0; buffer < kDepth; ++buffer) prepare(buffer);
  uint64_t reads = 0;
  for (unsigned in_flight = kDepth; in_flight != 0;) {
    const int submitted = io_uring_submit_and_wait(&ring, 1);
    if (submitted < 0) fail("io_uring_enter", -submitted);
    const bool goes_on = Clock::now() < end;
    io_uring_cqe* done = nullptr;
    while (io_uring_peek_cqe(&ring, &done) == 0) {
      if (done->res != static_cast<int>(kSize)) fail("read", done->res < 0 ? -done->res : EIO);
      const uint64_t buffer = done->user_data;
      io_uring_cqe_seen(&ring, done);
      ++reads;
      --in_flight;
      if (!goes_on) continue;
      prepare(buffer);
      ++in_flight;
    }
  }
  io_uring_queue_exit(&ring);
  return reads;
}

}  // namespace

int main(int argc, char** argv) {
  const int seconds = argc == 3 ? std::atoi(argv[2]) : 0;
  if (seconds <= 0) {
    std::printf("usage: read-rate DEVICE SECONDS\n");
    return 2;
  }
  // Line-buffered: the observer takes the time of each line.
  std::setvbuf(stdout, nullptr, _IOLBF, 0);
  const int fd = wait_for(argv[1]);
  Places places(fd);
  read_once(fd, 0);
  std::printf("first-read\n");
  using Reader = uint64_t (*)(int, Places&, Clock::time_point);
  for (const auto& [depth, reader] : {std::pair<unsigned, Reader>{1, one_in_flight},
                                      std::pair<unsigned, Reader>{kDepth, many_in_flight}}) {
    std::printf("begin %u\n", depth);
    const uint64_t reads = reader(fd, places, Clock::now() + std::chrono::seconds(seconds));
    std::printf("end %u %llu\n", depth, static_cast<unsigned long long>(reads));
    // Gives the observer time to read its counters.
    ::usleep(300'000);
  }
  return 0;
}
