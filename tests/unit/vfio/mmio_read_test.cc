// SPDX-License-Identifier: MIT
// Tests of reading memory that faults. A file shorter than its mapping raises SIGBUS, as a BAR does
// while decode is off.
#include "vfio/mmio_read.h"

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <cstring>
#include <thread>
#include <vector>

#include "base/fd.h"
#include "base/thread.h"

namespace passthru {
namespace {

constexpr size_t kFileSize = 4096;

class GuardedLoad : public testing::Test {
 protected:
  GuardedLoad() {
    EXPECT_EQ(ftruncate(file.get(), kFileSize), 0);
    void* mapped = mmap(nullptr, 2 * kFileSize, PROT_READ | PROT_WRITE, MAP_SHARED, file.get(), 0);
    EXPECT_NE(mapped, MAP_FAILED);
    memory = static_cast<std::byte*>(mapped);
    for (uint32_t i = 0; i < kFileSize / 4; ++i) std::memcpy(memory + i * 4, &i, 4);
  }
  ~GuardedLoad() override { munmap(memory, 2 * kFileSize); }

  Fd file{memfd_create("faulting", 0)};
  std::byte* memory = nullptr;  ///< a valid page, then a page that faults
  std::array<uint32_t, 4> words{};
};

TEST_F(GuardedLoad, ReadsWhatIsThere) {
  EXPECT_TRUE(try_read_mmio(memory + 16, words));
  EXPECT_EQ(words, (std::array<uint32_t, 4>{4, 5, 6, 7}));
}

TEST_F(GuardedLoad, SurvivesAFaultAgainAndAgain) {
  for (unsigned i = 0; i < 3; ++i) {
    EXPECT_FALSE(try_read_mmio(memory + kFileSize, words));
    EXPECT_FALSE(try_read_mmio(memory + kFileSize - 8, words))
        << "the fault is in the middle of the read";
    EXPECT_TRUE(try_read_mmio(memory, words)) << "the valid page can still be read";
  }
}

TEST_F(GuardedLoad, EveryThreadFindsItsOwnWayBack) {
  std::vector<std::thread> threads;
  for (unsigned thread = 0; thread < 4; ++thread) {
    threads.emplace_back([&, thread] {
      std::array<uint32_t, 4> own{};
      for (unsigned i = 0; i < 200; ++i) {
        const bool faults = (i + thread) % 2 == 0;
        EXPECT_EQ(try_read_mmio(memory + (faults ? kFileSize : 0), own), !faults);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
}

// On a thread of the library, which blocks all other signals.
TEST_F(GuardedLoad, AFaultOnAQuietThreadIsCaughtToo) {
  bool loaded = true;
  auto thread = start_thread_signals_blocked(
      "test", [&] { loaded = try_read_mmio(memory + kFileSize, words); });
  ASSERT_TRUE(thread);
  thread->join();
  EXPECT_FALSE(loaded);
}

using GuardedLoadDeath = GuardedLoad;

TEST_F(GuardedLoadDeath, WhatFaultsElsewhereEndsAsItWould) {
  EXPECT_TRUE(try_read_mmio(memory, words));
  const volatile std::byte* gone = memory + kFileSize;
  EXPECT_DEATH(static_cast<void>(*gone), "");
  EXPECT_DEATH(raise(SIGBUS), "") << "a signal that was sent, not a fault";
}

// On a VMM's vCPU thread that blocks its signals.
TEST_F(GuardedLoad, AFaultOnAThreadThatBlocksSigbusIsCaughtToo) {
  std::thread([&] {
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, nullptr);
    for (unsigned i = 0; i < 2; ++i) {
      EXPECT_FALSE(try_read_mmio(memory + kFileSize, words));
      EXPECT_TRUE(try_read_mmio(memory, words));
      sigset_t now;
      sigemptyset(&now);
      pthread_sigmask(SIG_SETMASK, nullptr, &now);
      EXPECT_EQ(sigismember(&now, SIGBUS), 1) << "SIGBUS stays blocked";
    }
  }).join();
}

}  // namespace
}  // namespace passthru
