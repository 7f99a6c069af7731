// SPDX-License-Identifier: MIT
// Tests of a guest that writes one register ten thousand times. The VMM gets a handful of events,
// the kernel a fixed number of calls for each write, and memory does not grow.
#include <gtest/gtest.h>
#include <malloc.h>

#include <array>
#include <cerrno>
#include <cstdint>
#include <vector>

#include "device/event_limit.h"
#include "tests/unit/device/assigned_fixture.h"

namespace passthru {
namespace {

constexpr unsigned kTimes = 10'000;
// In bytes. The VMM refuses every fourth address, and the smallest allocation has 32 bytes: keeping
// one for each refusal would take 80,000.
constexpr size_t kGrowth = 48 << 10;

class HostileGuestTest : public AssignedFixture {
 protected:
  void SetUp() override {
    open_driven(4);
    kernel->forget_calls();
  }

  // Calls `write` with each number below kTimes and checks the memory's growth.
  template <class Write>
  void repeat(Write write) {
    const size_t before = ::mallinfo2().uordblks;
    for (unsigned i = 0; i < kTimes; ++i) {
      write(i);
      set_irqs_ += kernel->calls("VFIO_DEVICE_SET_IRQS").size();
      kernel->forget_calls();
    }
    domain.mmio().wait_for_readers();  // frees retired snapshots
    const size_t after = ::mallinfo2().uordblks;
    EXPECT_LE(after, before + kGrowth);
  }

  void still_works() {
    place(kWindow);
    enable_msix();
    EXPECT_TRUE(mapped(kWindow));
    host.delivered();  // the kernel may have signalled the vectors when it enabled them again
    EXPECT_EQ(hardware->fire(2), Fired::Delivered);
    EXPECT_EQ(host.delivered(), std::vector{message_of(2)});
  }

  size_t set_irqs_ = 0;
};

TEST_F(HostileGuestTest, BadAddressesOfABarCostAHandfulOfEvents) {
  // Two impossible addresses, one beyond the CPU's address width, one that the VMM refuses to map.
  constexpr std::array<uint64_t, 4> kBad = {0, 0xFFFF'FFFF'FFFF'C000, uint64_t{1} << 52,
                                            kElsewhere};
  repeat([&](unsigned i) {
    const uint64_t address = kBad[i % kBad.size()];
    if (address == kElsewhere) host.fail_next("map", ENOSPC);
    device->config_write(kBar0, 4, static_cast<uint32_t>(address));
    device->config_write(kBar0 + 4, 4, static_cast<uint32_t>(address >> 32));
  });
  host.fail_next("", 0);
  EXPECT_EQ(set_irqs_, 0U);
  EXPECT_GE(host.events.size(), 1U);
  EXPECT_LE(host.events.size(), EventLimit::kBurst + 2);
  still_works();
}

TEST_F(HostileGuestTest, SwitchingMsixCostsAFixedNumberOfCalls) {
  repeat([&](unsigned i) { device->config_write(kMsixControl, 2, i % 2 == 0 ? 0 : 0x8000); });
  EXPECT_GE(set_irqs_, kTimes / 2) << "the writes reach the kernel";
  EXPECT_LE(set_irqs_, 5 * kTimes / 2) << "5 calls for each off and on";
  EXPECT_TRUE(host.events.empty());
  still_works();
}

TEST_F(HostileGuestTest, SwitchingDecodeCostsNoCallAndNoEvent) {
  repeat([&](unsigned i) { device->config_write(kCommand, 2, i % 2 == 0 ? 0x4 : 0x6); });
  EXPECT_EQ(set_irqs_, 0U);
  EXPECT_TRUE(host.events.empty());
  still_works();
}

}  // namespace
}  // namespace passthru
