// SPDX-License-Identifier: MIT
// Accesses to BARs by number and offset, with both kinds of placement, and beside a detach.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <chrono>
#include <cstring>
#include <string_view>
#include <thread>
#include <vector>

#include "tests/unit/device/assigned_fixture.h"

namespace passthru {
namespace {

using ::testing::ElementsAre;

constexpr uint64_t kTableOffset = 0x2000;  // of FakeSpec::nvme(), in BAR 0

class BarAccessTest : public AssignedFixture, public testing::WithParamInterface<Placement> {
 protected:
  void open(const FakeSpec& spec) {
    hardware = &plug(spec);
    AssignedFixture::open({.placement = GetParam()});
  }
  uint64_t bar_read(unsigned bar, uint64_t offset, unsigned width) {
    std::array<std::byte, 8> bytes{};
    device->bar_read(bar, offset, std::span(bytes).first(width));
    uint64_t value = 0;
    std::memcpy(&value, bytes.data(), sizeof value);
    return value;
  }
  void bar_write(unsigned bar, uint64_t offset, unsigned width, uint64_t value) {
    device->bar_write(bar, offset, std::as_bytes(std::span(&value, 1)).first(width));
  }
};

TEST_P(BarAccessTest, AnAccessReachesTheDeviceByBarAndOffset) {
  open(FakeSpec::e1000e());
  bar_write(1, 0x1fff8, 8, 0x8877'6655'4433'2211);
  EXPECT_EQ(hardware->bar(1)[0x1ffff], std::byte{0x88});
  EXPECT_EQ(hardware->bar(0)[0x1ffff], std::byte{0});
  EXPECT_EQ(bar_read(1, 0x1fffc, 4), 0x8877'6655U);
  bar_write(2, 4, 4, 0x12);
  EXPECT_EQ(bar_read(2, 4, 1), 0x12U) << "ports";
  EXPECT_EQ(bar_read(kRomBar, 0x3fffc, 4), 0x5a5a'5a5aU);
}

TEST_P(BarAccessTest, TheMsixTableIsTheGuestsOwn) {
  open(FakeSpec::nvme());
  enable_msix();
  bar_write(0, kTableOffset, 8, message_of(0).address);
  bar_write(0, kTableOffset + 8, 4, message_of(0).data);
  bar_write(0, kTableOffset + 12, 4, 0);
  EXPECT_EQ(hardware->fire(0), Fired::Delivered);
  EXPECT_THAT(host.delivered(), ElementsAre(message_of(0)));
  EXPECT_EQ(bar_read(0, kTableOffset + 8, 4), message_of(0).data);
}

TEST_P(BarAccessTest, BytesBeyondTheBarReadOnesAndAreDropped) {
  open(FakeSpec::e1000e());
  std::memset(hardware->bar(0).data(), 0x11, hardware->bar(0).size());
  std::memset(hardware->bar(1).data(), 0x22, hardware->bar(1).size());
  EXPECT_EQ(bar_read(0, 0x1fffe, 4), 0xffff'1111U);
  bar_write(0, 0x1fffe, 4, 0x4433'2211);
  EXPECT_EQ(hardware->bar(0)[0x1ffff], std::byte{0x22});
  for (const uint64_t offset :
       {uint64_t{0x20000}, (uint64_t{1} << 60) - 2, uint64_t{1} << 60, UINT64_MAX - 1}) {
    SCOPED_TRACE(offset);
    EXPECT_EQ(bar_read(0, offset, 4), UINT32_MAX);
    bar_write(0, offset, 4, 0);
  }
  EXPECT_EQ(hardware->bar(1)[0], std::byte{0x22});
}

TEST_P(BarAccessTest, ABarThatTheDeviceDoesNotHaveReadsOnes) {
  open(FakeSpec::nvme());
  for (const unsigned bar : {1U, 4U, kRomBar, kBars, UINT32_MAX}) {
    SCOPED_TRACE(bar);
    EXPECT_EQ(bar_read(bar, 0, 4), UINT32_MAX);
    bar_write(bar, 0, 4, 0);
  }
}

TEST_P(BarAccessTest, ADetachedDeviceReadsOnesAndDropsWrites) {
  open(FakeSpec::nvme());
  EXPECT_EQ(bar_read(0, 0, 4), 0U);
  device->detach();
  EXPECT_EQ(bar_read(0, 0, 4), UINT32_MAX);
  bar_write(0, 0, 4, 0);
  EXPECT_EQ(kernel->mappings(), 0U);
}

TEST_P(BarAccessTest, AnAccessIsCountedAsTrapped) {
  open(FakeSpec::nvme());
  bar_read(0, 0, 4);
  bar_write(0, kTableOffset, 4, 0);
  const Inspection seen = device->inspect();
  ASSERT_EQ(seen.bars.size(), 1U);
  EXPECT_EQ(seen.bars[0].spans[0].trapped_reads, 1U);
  EXPECT_EQ(seen.bars[0].spans[1].trapped_writes, 1U);
}

TEST_P(BarAccessTest, ADetachWaitsForAnAccessUnderWay) {
  open(FakeSpec::nvme());
  std::atomic<bool> entered{false};
  std::atomic<bool> release{false};
  kernel->hook.set([&](std::string_view call, bool after) {
    if (call != "pread" || after || entered.exchange(true)) return;
    eventually([&] { return release.load(); });
  });
  std::thread vcpu([&] { EXPECT_EQ(bar_read(0, 0, 4), 0U); });
  ASSERT_TRUE(eventually([&] { return entered.load(); }));
  std::atomic<bool> detached{false};
  std::thread vmm([&] {
    device->detach();
    detached = true;
  });
  EXPECT_TRUE(eventually([&] { return device->inspect().detached == "by the VMM"; }));
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  EXPECT_FALSE(detached);
  release = true;
  vcpu.join();
  vmm.join();
  kernel->hook.set({});
  EXPECT_EQ(kernel->mappings(), 0U);
}

TEST_P(BarAccessTest, AccessesBesideADetachReadTheRegisterOrOnes) {
  open(FakeSpec::nvme());
  std::atomic<bool> stop{false};
  std::atomic<uint64_t> rounds{0};
  std::vector<std::thread> vcpus;
  for (unsigned vcpu = 0; vcpu < 2; ++vcpu) {
    vcpus.emplace_back([&] {
      for (; !stop; ++rounds) {
        const uint64_t value = bar_read(0, 0, 4);
        EXPECT_TRUE(value == 0 || value == UINT32_MAX) << value;
        bar_write(0, kTableOffset + 8, 4, 0x40);
        bar_read(0, kTableOffset + 8, 4);
      }
    });
  }
  EXPECT_TRUE(eventually([&] { return rounds >= 200; })) << "the vCPUs have not started";
  device->detach();
  EXPECT_EQ(kernel->mappings(), 0U);
  const uint64_t before = rounds;
  EXPECT_TRUE(eventually([&] { return rounds > before + 10; }));
  stop = true;
  for (std::thread& vcpu : vcpus) vcpu.join();
}

INSTANTIATE_TEST_SUITE_P(OfBoth, BarAccessTest, testing::Values(Placement::Library, Placement::Vmm),
                         [](const auto& test) {
                           return test.param == Placement::Vmm ? "ByTheVmm" : "ByTheLibrary";
                         });

}  // namespace
}  // namespace passthru
