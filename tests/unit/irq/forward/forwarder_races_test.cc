// SPDX-License-Identifier: MIT
// A race: four threads signal 64 sources while another removes and adds them, beside the driving
// thread. The last signal of each source arrives, and none arrives after a removal.
// PASSTHRU_SIGNALS sets the number of signals (2,000,000).
#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <random>
#include <thread>
#include <vector>

#include "irq/forward/forwarder.h"
#include "tests/fakes/environment_number.h"
#include "tests/unit/irq/forward/forwarder_fixture.h"

namespace passthru {
namespace {

constexpr unsigned kSources = 64;
constexpr unsigned kThreads = 4;
constexpr unsigned kPlaces = 1024;

// AddressSanitizer keeps freed memory. Either compiler may build it in.
#if defined(__SANITIZE_ADDRESS__)
constexpr bool kKeepsWhatWasFreed = true;
#elif defined(__has_feature)
constexpr bool kKeepsWhatWasFreed = __has_feature(address_sanitizer);
#else
constexpr bool kKeepsWhatWasFreed = false;
#endif

uint64_t signals_wanted() {
  return environment_number("PASSTHRU_SIGNALS", 2'000'000);
}

long resident_pages() {
  long total = 0;
  long resident = 0;
  if (FILE* file = std::fopen("/proc/self/statm", "re"); file != nullptr) {
    if (std::fscanf(file, "%ld %ld", &total, &resident) != 2) resident = 0;
    std::fclose(file);
  }
  return resident;
}

/// An eventfd with its signalling thread and its deliveries.
struct Line {
  Fd eventfd = make_eventfd();
  std::atomic<uint64_t> sent = 0;
  std::atomic<uint64_t> arrived = 0;  ///< the value of `sent` at the last delivery
  std::atomic<bool> added = false;    ///< a delivery may arrive
  std::atomic<unsigned> late = 0;     ///< deliveries after a removal
  SourceId id = 0;                    ///< used by the thread that adds and removes
};

class ForwarderRaces : public ForwarderFixture {
 protected:
  void add(Line& line) {
    line.added = true;
    line.id = add_call(line.eventfd, [&line](uint64_t) {
      if (!line.added) ++line.late;
      line.arrived = line.sent.load();
    });
  }
  void remove(Line& line) {
    ASSERT_TRUE(forwarder->remove(line.id));
    line.added = false;
  }
};
PASSTHRU_ON_BOTH_BACKENDS(ForwarderRaces);

TEST_P(ForwarderRaces, EverySourcesLastSignalArrivesAndNoneAfterARemoval) {
  make(kPlaces);
  std::array<Line, kSources> lines;
  ASSERT_TRUE(forwarder->start_thread());
  for (Line& line : lines) add(line);

  std::atomic<unsigned> running = kThreads;
  std::vector<std::thread> signallers;
  for (unsigned thread = 0; thread < kThreads; ++thread) {
    signallers.emplace_back([&, thread] {
      for (uint64_t i = 0; i < signals_wanted() / kThreads; ++i) {
        Line& line = lines[i * kThreads % kSources + thread];
        ++line.sent;
        signal_eventfd(line.eventfd);
      }
      --running;
    });
  }
  std::mt19937 random(1);
  long settled = 0;
  uint64_t switches = 0;
  for (; running != 0; ++switches) {
    // A removed source occupies its place until the driving thread has run.
    const auto has_places = [&] { return forwarder->stats().sources <= kPlaces / 2; };
    for (int turns = 0; turns < 1000 && !has_places(); ++turns) std::this_thread::yield();
    if (!eventually(has_places)) {
      ADD_FAILURE() << "the driving thread has not freed removed sources";
      break;
    }
    Line& line = lines[random() % kSources];
    remove(line);
    if (switches % 3 == 0) std::this_thread::yield();
    add(line);
    if (switches == 1000) settled = resident_pages();
  }
  for (std::thread& thread : signallers) thread.join();
  const long grown = settled != 0 ? resident_pages() - settled : 0;

  for (Line& line : lines) {
    EXPECT_TRUE(eventually([&] { return line.arrived == line.sent; }))
        << line.arrived << " of " << line.sent;
  }
  for (Line& line : lines) {
    remove(line);
    signal_eventfd(line.eventfd);  // a delivery of it would be late
  }
  EXPECT_TRUE(eventually([&] { return forwarder->stats().sources == 0; }));
  for (Line& line : lines) EXPECT_EQ(line.late, 0U);
  if (!kKeepsWhatWasFreed) {
    EXPECT_LT(grown, 512) << "pages, over " << switches << " removals";
  }
  RecordProperty("switches", static_cast<int>(switches));
}

}  // namespace
}  // namespace passthru
