// SPDX-License-Identifier: MIT
// Tests on real VFIO that vector 0 loses no signal while other vectors are added under load. If the
// kernel can add single vectors, vector 0 is never bound again.
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <thread>

#include "tests/hil/msix_on_vfio.h"

namespace passthru {
namespace {

class Growth : public MsixOnVfio {
 protected:
  static constexpr unsigned kMaxVectors = 64;

  /// Signals vector 0 and checks that it arrives. While the kernel enables the vectors again, it
  /// may arrive twice, which the guest sees as one interrupt.
  void signal_and_expect() {
    signal(0, 1);
    const auto delivered = host.delivered();
    EXPECT_GE(std::count(delivered.begin(), delivered.end(), message_of(0)), 1);
  }
  void unmask(unsigned vector) {
    put_message(vector, message_of(vector));
    put32(vector * 16 + 12, 0);
  }
};

TEST_P(Growth, VectorZeroLosesNothingWhileTheOthersCome) {
  enable(1);
  const unsigned vectors = std::min(layout.vectors, kMaxVectors);
  for (unsigned vector = 1; vector < vectors; ++vector) {
    signal_and_expect();
    unmask(vector);
    signal_and_expect();
  }
  for (unsigned vector = 0; vector < vectors; ++vector) {
    signal(vector, 1);
    const auto delivered = host.delivered();
    EXPECT_EQ(std::count(delivered.begin(), delivered.end(), message_of(vector)), 1) << vector;
  }
  const VectorState zero = msix->inspect()[0];
  if (device->irq(Irq::Msix).noresize) {
    EXPECT_LE(zero.rebinds, 7U) << "one for each doubling";
  } else {
    EXPECT_EQ(zero.rebinds, 0U);
    EXPECT_EQ(msix->counters().set_irqs_calls, vectors) << "one for each vector";
  }
}

// Each signal must arrive before the next is sent. The test adds vectors at any moment in between.
TEST_P(Growth, VectorZeroIsNeverLostWhileItIsSignalledAllTheTime) {
  enable(1);
  std::atomic<bool> arrived = false;
  std::atomic<bool> stop = false;
  std::thread load([&] {
    while (!stop) {
      arrived = false;
      // While the kernel enables the vectors again, the trigger fails.
      if (!device->act_on_irqs(Irq::Msix, IrqAction::Trigger, 0, 1)) continue;
      while (!stop && !arrived) std::this_thread::yield();
    }
  });
  const auto one_more_arrives = [&] {
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(10);
    while (std::chrono::steady_clock::now() < deadline) {
      const auto delivered = host.delivered();
      if (std::count(delivered.begin(), delivered.end(), message_of(0)) != 0) {
        arrived = true;
        return true;
      }
      std::this_thread::yield();
    }
    return false;
  };
  const unsigned vectors = std::min(layout.vectors, kMaxVectors);
  for (unsigned vector = 1; vector < vectors && !HasFailure(); ++vector) {
    unmask(vector);
    EXPECT_TRUE(one_more_arrives()) << "after vector " << vector;
  }
  stop = true;
  load.join();
  if (!device->irq(Irq::Msix).noresize) {
    EXPECT_EQ(msix->inspect()[0].rebinds, 0U);
  }
}

TEST_P(Growth, AVectorThatIsLetGoComesAgainAndDisturbsNobody) {
  enable(3);
  put32(1 * 16 + 12, 1);
  put_message(1, {});
  EXPECT_FALSE(msix->inspect()[1].bound);
  signal_and_expect();
  unmask(1);
  signal(1, 1);
  const auto delivered = host.delivered();
  EXPECT_EQ(std::count(delivered.begin(), delivered.end(), message_of(1)), 1);
  for (const unsigned vector : {0U, 2U}) EXPECT_EQ(msix->inspect()[vector].rebinds, 0U);
}

GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(Growth);
INSTANTIATE_TEST_SUITE_P(Linux, Growth, testing::ValuesIn(devices_with_msix()),
                         [](const auto& each) { return each.param.name(); });

}  // namespace
}  // namespace passthru
