// SPDX-License-Identifier: MIT
// A program that reads an NVMe drive on all its vectors at the same time, with the library and
// without a guest. Until stdin ends, the test damages the drive's MSI-X table; then follows a quiet
// time. The program prints the longest waits of both. usage: passthru_storm BDF
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <string>
#include <vector>

#include "device/device_monitor.h"
#include "tests/hil/storm/assigned_drive.h"

namespace passthru {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

constexpr unsigned kMaxQueues = 64;
constexpr std::chrono::seconds kQuiet{3};
/// The time for the remaining reads at the end. A vector that is then still silent is dead.
constexpr std::chrono::seconds kLast{10};

/// Reads on all vectors: one read at a time on each, always of the same block.
class Readers {
 public:
  explicit Readers(AssignedDrive& drive) : drive_(drive), readers_(drive.queues() + 1) {
    for (unsigned queue = 1; queue <= drive_.queues(); ++queue) begin(queue);
  }

  /// Handles the interrupts that have arrived or arrive within 10 ms.
  void turn() {
    for (const unsigned vector : drive_.take(milliseconds(10))) {
      if (vector >= 1 && vector < readers_.size() && drive_.driver().take(vector)) end(vector);
    }
  }
  void be_quiet() { quiet_since_ = Clock::now(); }
  void stop() { stopped_ = true; }

  [[nodiscard]] uint64_t reads() const { return reads_; }
  [[nodiscard]] uint64_t wrong() const { return wrong_; }
  [[nodiscard]] size_t waiting() const {
    return static_cast<size_t>(std::count_if(readers_.begin(), readers_.end(),
                                             [](const Reader& each) { return each.waits; }));
  }
  /// Returns the longest wait of all reads, complete or not; and the longest wait in the quiet
  /// time.
  [[nodiscard]] Clock::duration longest() const { return longest_of({}, longest_); }
  [[nodiscard]] Clock::duration longest_in_quiet() const {
    return longest_of(quiet_since_, longest_in_quiet_);
  }

 private:
  struct Reader {
    bool waits = false;
    Clock::time_point since{};
    std::vector<std::byte> block{};  ///< data of the first read
  };

  void begin(unsigned queue) {
    const auto data = drive_.driver().data(queue);
    std::fill(data.begin(), data.end(), std::byte{0xa5});
    readers_[queue].waits = true;
    readers_[queue].since = Clock::now();
    drive_.driver().read(queue, queue % drive_.driver().identity().blocks);
  }
  void end(unsigned queue) {
    Reader& reader = readers_[queue];
    const auto now = Clock::now();
    reader.waits = false;
    ++reads_;
    longest_ = std::max(longest_, now - reader.since);
    if (quiet_since_ != Clock::time_point{}) {
      longest_in_quiet_ = std::max(longest_in_quiet_, now - std::max(reader.since, quiet_since_));
    }
    const auto data = drive_.driver().data(queue);
    if (reader.block.empty()) reader.block.assign(data.begin(), data.end());
    if (!std::equal(data.begin(), data.end(), reader.block.begin())) ++wrong_;
    if (!stopped_) begin(queue);
  }
  [[nodiscard]] Clock::duration longest_of(Clock::time_point since, Clock::duration ended) const {
    const auto now = Clock::now();
    for (const Reader& each : readers_) {
      if (each.waits) ended = std::max(ended, now - std::max(each.since, since));
    }
    return ended;
  }

  AssignedDrive& drive_;
  std::vector<Reader> readers_;  ///< by queue
  bool stopped_ = false;
  Clock::time_point quiet_since_{};
  Clock::duration longest_{};
  Clock::duration longest_in_quiet_{};
  uint64_t reads_ = 0;
  uint64_t wrong_ = 0;
};

/// Returns whether stdin has ended. Ignores its data.
bool stdin_ended() {
  pollfd in{.fd = STDIN_FILENO, .events = POLLIN, .revents = 0};
  if (::poll(&in, 1, 0) <= 0) return false;
  std::byte passed[256];
  return ::read(STDIN_FILENO, passed, sizeof passed) <= 0;
}

long long ms(Clock::duration time) {
  return std::chrono::ceil<milliseconds>(time).count();
}

Result<void> storm(Bdf bdf) {
  auto drive = PASSTHRU_TRY(AssignedDrive::open(bdf, kMaxQueues));
  Readers readers(*drive);
  auto audit =
      PASSTHRU_TRY(DeviceMonitor::start({&drive->device()}, DeviceMonitor::kDefaultInterval));
  std::printf("reading on %u vectors\n", drive->queues());
  std::fflush(stdout);
  while (!stdin_ended()) readers.turn();
  readers.be_quiet();
  const uint64_t before = readers.reads();
  for (const auto end = Clock::now() + kQuiet; Clock::now() < end;) readers.turn();
  readers.stop();
  for (const auto end = Clock::now() + kLast; Clock::now() < end && readers.waiting() != 0;) {
    readers.turn();
  }
  audit.reset();
  const Inspection inspection = drive->device().inspect();
  std::printf(
      "reads %llu\nreads-in-quiet %llu\nwrong-reads %llu\nlongest-wait-ms %lld\n"
      "longest-wait-in-quiet-ms %lld\naudits %llu\nrestores %llu\ndead-vectors %zu\n",
      static_cast<unsigned long long>(readers.reads()),
      static_cast<unsigned long long>(readers.reads() - before),
      static_cast<unsigned long long>(readers.wrong()), ms(readers.longest()),
      ms(readers.longest_in_quiet()), static_cast<unsigned long long>(inspection.audits),
      static_cast<unsigned long long>(inspection.restores), readers.waiting());
  return {};
}

}  // namespace
}  // namespace passthru

int main(int argc, char** argv) {
  const auto bdf = passthru::Bdf::parse(argc == 2 ? argv[1] : "");
  if (!bdf) {
    std::fputs("usage: passthru_storm BDF\n", stderr);
    return 2;
  }
  if (const auto done = passthru::storm(*bdf); !done) {
    std::fprintf(stderr, "passthru_storm: %s\n", done.error().message().c_str());
    return 3;
  }
  return 0;
}
