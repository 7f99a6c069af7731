// SPDX-License-Identifier: MIT
// Tests of a device that stays damaged: the pace of audits, and operations that do not wait for it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <csignal>
#include <string_view>
#include <vector>

#include "tests/unit/irq/msix_fixture.h"
#include "vfio/mmio_read.h"

namespace passthru {
namespace {

using ::testing::ElementsAre;

/// Counts the faulting loads of device memory (FakeDevice::set_faulting) while it lives. A check of
/// an entry counts once: the first faulting load ends it.
class CountedFaults {
 public:
  CountedFaults() {
    // The first load installs the library's handler, so make it now.
    uint32_t word = 0;
    EXPECT_TRUE(try_read_mmio(reinterpret_cast<const std::byte*>(&word), {&word, 1}));
    struct sigaction counts = {};
    counts.sa_sigaction = [](int signal, siginfo_t* info, void* context) {
      ++faults;
      library.sa_sigaction(signal, info, context);
    };
    counts.sa_flags = SA_SIGINFO | SA_ONSTACK;
    EXPECT_EQ(sigaction(SIGBUS, &counts, &library), 0);
  }
  ~CountedFaults() { EXPECT_EQ(sigaction(SIGBUS, &library, nullptr), 0); }
  CountedFaults(const CountedFaults&) = delete;
  CountedFaults& operator=(const CountedFaults&) = delete;
  /// Returns the count since the last call.
  unsigned take() { return faults.exchange(0); }

 private:
  static inline std::atomic<unsigned> faults = 0;
  static inline struct sigaction library = {};
};

class MsixRetry : public MsixTest {
 protected:
  static constexpr unsigned kVectors = 65;
  static constexpr unsigned kRefused = 4;

  /// Returns whether the next audit, which fails, calls SET_IRQS.
  bool tries_to_restore() {
    kernel.forget_calls();
    EXPECT_FALSE(msix->audit());
    return set_irqs() != 0;
  }
  /// Runs failing audits until the next audits wait. The first four audits, the 6th and the 9th try
  /// to restore.
  void fail_until_audits_wait() {
    unsigned tries = 0;
    for (unsigned audits = 0; audits < 9; ++audits) {
      if (tries_to_restore()) ++tries;
    }
    EXPECT_EQ(tries, 6U);
    EXPECT_FALSE(tries_to_restore()) << "this audit must wait";
    host.delivered();
  }
  /// Zeroes the table while the kernel refuses one vector.
  void refuse_one() {
    live(9);
    fake->refuse(kRefused, ENOMEM);
    fake->zero_table();
    fail_until_audits_wait();
  }
  void expect_all_deliver(unsigned vectors) {
    for (unsigned vector = 0; vector < vectors; ++vector) {
      EXPECT_EQ(fake->fire(vector), Fired::Delivered) << vector;
    }
  }
};

TEST_F(MsixRetry, ADeviceThatStaysDamagedIsLookedAtMoreAndMoreSeldom) {
  live(kVectors);
  CountedFaults faults;
  fake->set_faulting(true);
  std::vector<unsigned> gaps;
  kernel.forget_calls();
  for (unsigned audits = 1, last = 1; audits <= 270; ++audits) {
    const auto done = msix->audit();
    ASSERT_FALSE(done) << "an audit must fail while the device is damaged";
    EXPECT_EQ(done.error().code, EIO);
    const unsigned looks = faults.take();
    const size_t calls = set_irqs();
    kernel.forget_calls();
    if (looks == 0) {
      EXPECT_EQ(calls, 0U);
      continue;
    }
    EXPECT_LE(looks, kVectors * (1 + TableRestorer::kMaxAttempts) + 1) << "the glance adds one";
    EXPECT_LE(calls, size_t{kVectors} * TableRestorer::kMaxAttempts);
    gaps.push_back(audits - last);
    last = audits;
  }
  EXPECT_THAT(gaps, ElementsAre(0, 1, 1, 1, 2, 3, 5, 9, 17, 33, 65, 65, 65));
  EXPECT_EQ(RetryPace::kMaxWait, 64U);
  fake->set_faulting(false);
}

TEST_F(MsixRetry, ItIsRestoredSoonAfterItCanBeAndTheNextDamageAtOnce) {
  live(kVectors);
  fake->set_faulting(true);
  fail_until_audits_wait();
  fake->set_faulting(false);
  fake->zero_table();
  unsigned audits = 1;
  while (!msix->audit() && audits <= RetryPace::kMaxWait) ++audits;
  EXPECT_LE(audits, 8U) << "the wait must not exceed the time of the damage";
  expect_all_deliver(kVectors);
  for (unsigned again = 0; again < 3; ++again) {
    fake->zero_table();
    EXPECT_EQ(*msix->audit(), kVectors);
    expect_all_deliver(kVectors);
  }
  fake->set_faulting(true);
  fail_until_audits_wait();
  fake->set_faulting(false);
}

// Clears Enable each time that the kernel sets it.
TEST_F(MsixRetry, ADeviceThatLosesEnableAgainIsLookedAtMoreAndMoreSeldomToo) {
  live(9);
  fake->set_faulting(true);
  fake->set_msix_control(0);
  kernel.hook.set([this](std::string_view name, bool after) {
    if (after && name == "VFIO_DEVICE_SET_IRQS") fake->set_msix_control(0);
  });
  fail_until_audits_wait();
  kernel.hook.set({});
}

TEST_F(MsixRetry, AnotherVectorThatIsDamagedMeanwhileDoesNotWait) {
  refuse_one();
  fake->set_entry(7, {0, 0, 0, 0});
  EXPECT_EQ(msix->audit().error().code, ENOMEM) << "the refused vector is not restored yet";
  EXPECT_THAT(host.delivered(), ElementsAre(message_of(7)));
  EXPECT_EQ(fake->fire(7), Fired::Delivered);
  EXPECT_THAT(kernel.calls("VFIO_DEVICE_SET_IRQS"), testing::SizeIs(1))
      << "one call, for that vector alone";
}

TEST_F(MsixRetry, AnotherVectorThatIsRefusedMeanwhileIsTriedOnce) {
  refuse_one();
  fake->refuse(7, ENOMEM);
  fake->set_entry(7, {0, 0, 0, 0});
  EXPECT_TRUE(tries_to_restore());
  EXPECT_FALSE(tries_to_restore());
}

TEST_F(MsixRetry, AnotherVectorThatIsLostMeanwhileDoesNotWait) {
  refuse_one();
  mask(7, true);
  fake->set_entry(7, {0, 0, 0, 0});
  fake->refuse(7, ENOMEM);
  mask(7, false);
  fake->refuse(7, 0);
  EXPECT_FALSE(msix->inspect()[7].bound);
  EXPECT_FALSE(msix->audit());
  EXPECT_EQ(fake->fire(7), Fired::Delivered);
}

TEST_F(MsixRetry, AnAuditThatRestoresSomeVectorsIsFollowedByAnotherTry) {
  live(9);
  for (unsigned vector = 0; vector < 9; ++vector) fake->refuse(vector, ENOMEM);
  fake->zero_table();
  for (unsigned vector = 0; vector < 9; ++vector) {
    fake->refuse(vector, 0);
    ignore(msix->audit(), "other vectors are still refused");
    EXPECT_EQ(fake->fire(vector), Fired::Delivered) << vector;
  }
}

TEST_F(MsixRetry, AResetMeanwhileIsHealedAtOnce) {
  refuse_one();
  fake->backdoor_reset();
  EXPECT_FALSE(msix->audit());
  for (unsigned vector = 0; vector < 9; ++vector) {
    EXPECT_EQ(fake->fire(vector) == Fired::Delivered, vector != kRefused) << vector;
  }
}

TEST_F(MsixRetry, AGuestThatEnablesItsInterruptsAgainDoesNotWait) {
  refuse_one();
  fake->refuse(kRefused, 0);
  msix->write_control(0);
  msix->write_control(PCI_MSIX_FLAGS_ENABLE);
  fake->zero_table();
  EXPECT_EQ(*msix->audit(), 9U);
  expect_all_deliver(9);
}

}  // namespace
}  // namespace passthru
