// SPDX-License-Identifier: MIT
// Tests of an opened device: its facts, the bounds of its accesses, and the descriptors that it
// keeps open.
#include "vfio/device.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <chrono>
#include <thread>
#include <vector>

#include "tests/fakes/fake_kernel.h"

namespace passthru {
namespace {

using ::testing::HasSubstr;

class VfioDeviceTest : public ::testing::Test {
 protected:
  Result<std::shared_ptr<VfioDevice>> open(const FakeSpec& spec) {
    return VfioDevice::open(kernel_, dma_, spec.door());
  }

  FakeKernel kernel_;
  FakeDevice& nvme_ = kernel_.add(FakeSpec::nvme());
  FakeDevice& nic_ = kernel_.add(FakeSpec::e1000e());
  DmaSpace dma_{kernel_};
};

TEST_F(VfioDeviceTest, KnowsItsRegionsAndInterrupts) {
  const auto device = open(nic_.spec());
  ASSERT_TRUE(device) << device.error().message();
  EXPECT_EQ((*device)->bdf().str(), "0000:00:03.0");
  EXPECT_TRUE((*device)->resettable());
  EXPECT_EQ((*device)->region(Region::Bar0).size, 0x20000U);
  EXPECT_FALSE((*device)->region(Region::Bar2).mappable);
  EXPECT_TRUE((*device)->region(Region::Bar3).msix_mappable);
  EXPECT_EQ((*device)->region(Region::Rom).size, 0x40000U);
  EXPECT_EQ((*device)->irq(Irq::Msix).count, 5U);
}

TEST_F(VfioDeviceTest, WhatTheKernelRefusesToDescribeIsAbsent) {
  FakeSpec spec = FakeSpec::nvme({0, 0, 9, 0}, 9);
  spec.express = false;
  kernel_.add(spec);
  const auto device = open(spec);
  ASSERT_TRUE(device);
  EXPECT_EQ((*device)->region(Region::Vga).size, 0U);
  EXPECT_EQ((*device)->irq(Irq::Error).count, 0U);
  EXPECT_EQ((*device)->irq(Irq::Request).count, 1U);
}

TEST_F(VfioDeviceTest, AnErrorNamesTheDeviceTheCallAndTheRegion) {
  const auto device = open(nvme_.spec());
  ASSERT_TRUE(device);
  std::array<std::byte, 4> bytes{};
  kernel_.fail("pread", EIO);
  EXPECT_EQ((*device)->read(Region::Config, 0, bytes).error().message(),
            "0000:00:02.0: cannot pread config: Input/output error");
  kernel_.fail("pwrite", EIO);
  EXPECT_EQ((*device)->write(Region::Bar0, 0, bytes).error().message(),
            "0000:00:02.0: cannot pwrite BAR0: Input/output error");
  kernel_.fail("VFIO_DEVICE_RESET", EAGAIN);
  EXPECT_THAT((*device)->reset().error().message(),
              HasSubstr("0000:00:02.0: cannot call VFIO_DEVICE_RESET: "));
}

TEST_F(VfioDeviceTest, AccessesBeyondARegionNeverReachTheKernel) {
  const auto device = open(nvme_.spec());
  ASSERT_TRUE(device);
  kernel_.forget_calls();
  std::array<std::byte, 4> bytes{};
  for (const uint64_t offset :
       {uint64_t{0x4000}, uint64_t{0x3ffd}, uint64_t{UINT64_MAX}, UINT64_MAX - 3}) {
    EXPECT_EQ((*device)->read(Region::Bar0, offset, bytes).error().code, EINVAL) << offset;
    EXPECT_EQ((*device)->write(Region::Bar0, offset, bytes).error().code, EINVAL) << offset;
    EXPECT_EQ((*device)->map(Region::Bar0, offset, 0x1000).error().code, EINVAL) << offset;
  }
  EXPECT_EQ((*device)->read(Region::Bar5, 0, bytes).error().code, EINVAL) << "absent";
  EXPECT_EQ((*device)->map(Region::Bar0, 0, UINT64_MAX).error().code, EINVAL);
  EXPECT_EQ((*device)->map(Region::Bar0, 0, 0).error().code, EINVAL);
  EXPECT_EQ((*device)->map(Region::Bar0, 0, 0x5000).error().code, EINVAL);
  EXPECT_TRUE(kernel_.calls().empty());
  EXPECT_TRUE((*device)->read(Region::Bar0, 0x3ffc, bytes));
}

TEST_F(VfioDeviceTest, VectorsBeyondTheIndexNeverReachTheKernel) {
  const auto device = open(nvme_.spec());
  ASSERT_TRUE(device);
  kernel_.forget_calls();
  const std::vector<int> fds(66, -1);
  EXPECT_EQ((*device)->bind_irqs(Irq::Msix, 0, fds).error().code, EINVAL);
  EXPECT_EQ((*device)->bind_irqs(Irq::Msix, UINT32_MAX, std::span(fds).first(2)).error().code,
            EINVAL);
  EXPECT_EQ((*device)->bind_irqs(Irq::Msix, 0, {}).error().code, EINVAL)
      << "an empty list would disable the index";
  EXPECT_EQ((*device)->act_on_irqs(Irq::Msix, IrqAction::Trigger, 65, 1).error().code, EINVAL);
  EXPECT_EQ((*device)->act_on_irqs(Irq::Msix, IrqAction::Trigger, 1, UINT32_MAX).error().code,
            EINVAL);
  EXPECT_EQ((*device)->bind_irqs(Irq::Msi, 0, std::span(fds).first(1)).error().code, EINVAL)
      << "the device has no MSI";
  EXPECT_TRUE(kernel_.calls().empty());
  EXPECT_TRUE((*device)->bind_irqs(Irq::Msix, 0, std::span(fds).first(65)));
}

TEST_F(VfioDeviceTest, TooFewVectorsOnTheHostIsAnErrorThatSaysHowMany) {
  FakeSpec spec = FakeSpec::nvme({0, 0, 9, 0}, 9);
  spec.msix.available = 12;
  FakeDevice& fake = kernel_.add(spec);
  const auto device = open(spec);
  ASSERT_TRUE(device);
  const auto bound = (*device)->bind_irqs(Irq::Msix, 0, std::vector<int>(13, -1));
  ASSERT_FALSE(bound);
  EXPECT_EQ(bound.error().code, ENOSPC);
  EXPECT_EQ(bound.error().index, 12U);
  EXPECT_EQ(fake.allocated(), 0U);
}

TEST_F(VfioDeviceTest, ADeviceWithoutResetSaysSo) {
  FakeSpec spec = FakeSpec::nvme({0, 0, 9, 0}, 9);
  spec.resets = false;
  kernel_.add(spec);
  const auto device = open(spec);
  ASSERT_TRUE(device);
  EXPECT_EQ((*device)->reset().error().code, EINVAL);
  EXPECT_TRUE(kernel_.calls("VFIO_DEVICE_RESET").empty());
}

TEST_F(VfioDeviceTest, AMappingShowsTheDevicesMemoryAndKeepsItOpen) {
  MappedRegion mapped;
  {
    auto device = open(nvme_.spec());
    ASSERT_TRUE(device);
    auto map = (*device)->map(Region::Bar0, 0x1000, 0x1000);
    ASSERT_TRUE(map) << map.error().message();
    mapped = std::move(*map);
  }
  EXPECT_EQ(kernel_.open_fds(), 3U) << "container, group, device";
  EXPECT_EQ(kernel_.mappings(), 1U);
  nvme_.bar(0)[0x1004] = std::byte{0x42};
  EXPECT_EQ(mapped.data()[4], std::byte{0x42});
  EXPECT_EQ(mapped.size(), 0x1000U);
  mapped = MappedRegion();
  EXPECT_TRUE(kernel_.nothing_leaked());
}

TEST_F(VfioDeviceTest, TwoDevicesOfAGroupShareIt) {
  const FakeSpec second = FakeSpec::nvme({0, 0, 2, 1}, 2);
  kernel_.add(second);
  auto first = open(nvme_.spec());
  auto other = open(second);
  ASSERT_TRUE(first && other);
  EXPECT_EQ(kernel_.calls("open_group").size(), 1U);
  first->reset();
  EXPECT_EQ(kernel_.open_fds(), 3U);
  other->reset();
  EXPECT_TRUE(kernel_.nothing_leaked());
}

TEST_F(VfioDeviceTest, ADeviceThatIsNotInTheGroupSaysHowToBindIt) {
  const auto device = VfioDevice::open(kernel_, dma_, {.bdf = Bdf{0, 0, 7, 0}, .group = 2});
  ASSERT_FALSE(device);
  EXPECT_EQ(device.error().code, ENODEV);
  EXPECT_EQ(device.error().device, "0000:00:07.0");
  EXPECT_THAT(device.error().advice, HasSubstr("passthru bind 0000:00:07.0"));
  EXPECT_TRUE(kernel_.nothing_leaked());
}

TEST_F(VfioDeviceTest, WhicheverCallOfAnOpenFailsNothingIsLeft) {
  alignas(4096) static std::byte ram[4096];
  ASSERT_TRUE(dma_.add(0, ram, true));
  auto opened = open(nvme_.spec());
  ASSERT_TRUE(opened);
  const size_t calls = kernel_.calls().size();
  opened->reset();
  EXPECT_GT(calls, 20U);
  for (unsigned nth = 1; nth <= calls; ++nth) {
    SCOPED_TRACE(nth);
    kernel_.fail("*", EIO, nth);
    const auto device = open(nvme_.spec());
    ASSERT_FALSE(device);
    EXPECT_EQ(device.error().device, "0000:00:02.0");
    EXPECT_TRUE(kernel_.nothing_leaked());
  }
  EXPECT_TRUE(open(nvme_.spec()));
}

// A guest writes COMMAND between the library's read and write of COMMAND.
TEST_F(VfioDeviceTest, TurningDecodeOnUndoesNoWriteOfCommand) {
  const auto device = open(nvme_.spec());
  ASSERT_TRUE(device);
  nvme_.backdoor_reset();
  std::atomic<bool> written{false};
  std::thread guest;
  kernel_.hook.set([&](std::string_view call, bool after) {
    if (call != "pread" || !after || guest.joinable()) return;
    guest = std::thread([&] {
      const std::array bytes{std::byte{0x6}, std::byte{0}};  // memory decode and bus master
      EXPECT_TRUE((*device)->write(Region::Config, 4, bytes));
      written = true;
    });
    // The guest's write is done by then, unless it waits.
    for (int i = 0; i < 50 && !written; ++i) {
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
  });
  EXPECT_TRUE((*device)->turn_decode_on());
  ASSERT_TRUE(guest.joinable());
  guest.join();
  kernel_.hook.set({});
  std::array<std::byte, 2> command{};
  ASSERT_TRUE((*device)->read(Region::Config, 4, command));
  EXPECT_EQ(command[0] & std::byte{0x6}, std::byte{0x6});
}

TEST_F(VfioDeviceTest, Case16BusMasteringThatAResetTurnedOffComesBackWithDecode) {
  const auto device = open(nvme_.spec());
  ASSERT_TRUE(device);
  struct Case {
    const char* what;
    uint64_t offset;
    std::vector<std::byte> written;
    std::byte restored;
  };
  const Case cases[] = {
      {"never written", 6, {std::byte{0}, std::byte{0}}, std::byte{0x2}},
      {"on", 4, {std::byte{0x6}, std::byte{0}}, std::byte{0x6}},
      {"on, and its high byte written later", 5, {std::byte{0}}, std::byte{0x6}},
      {"off", 4, {std::byte{0x2}}, std::byte{0x2}},
      {"on, as part of a dword", 4, std::vector(4, std::byte{0x6}), std::byte{0x6}},
  };
  for (const Case& c : cases) {
    ASSERT_TRUE((*device)->write(Region::Config, c.offset, c.written)) << c.what;
    nvme_.backdoor_reset();
    ASSERT_TRUE((*device)->turn_decode_on()) << c.what;
    std::array<std::byte, 2> command{};
    ASSERT_TRUE((*device)->read(Region::Config, 4, command));
    EXPECT_EQ(command[0] & std::byte{0x6}, c.restored) << c.what;
  }
}

TEST_F(VfioDeviceTest, DecodeThatIsOnIsNotWritten) {
  const auto device = open(nvme_.spec());
  ASSERT_TRUE(device);
  const std::array on{std::byte{0x2}, std::byte{0}};  // as hardware without ports keeps it
  ASSERT_TRUE((*device)->write(Region::Config, 4, on));
  kernel_.forget_calls();
  EXPECT_TRUE((*device)->turn_decode_on());
  for (const FakeCall& call : kernel_.calls()) EXPECT_EQ(call.name, "pread");
}

}  // namespace
}  // namespace passthru
