// SPDX-License-Identifier: MIT
// A device whose mapped BARs fault, as with memory decode off. The library's own accesses go on;
// when the memory answers again, interrupts work again.
#include <gmock/gmock.h>

#include <array>

#include "tests/unit/device/assigned_fixture.h"
#include "vfio/mmio_read.h"

namespace passthru {
namespace {

using ::testing::IsEmpty;

constexpr unsigned kVectors = 3;

class FaultingBarTest : public AssignedFixture {
 protected:
  void SetUp() override {
    open_driven(kVectors);
    ASSERT_TRUE(mapped(kWindow));
  }
  void mask(unsigned vector, bool masked) {
    mmio_write(kNvmeTable + vector * 16 + 12, masked ? 1 : 0);
  }
  void expect_all_deliver() {
    ASSERT_TRUE(device->check_health());
    for (unsigned vector = 0; vector < kVectors; ++vector) {
      host.delivered();
      EXPECT_EQ(hardware->fire(vector), Fired::Delivered);
      EXPECT_THAT(host.delivered(), testing::ElementsAre(message_of(vector)));
    }
  }
};

// Checks that the access does fault, and where the guest has the BAR mapped.
TEST_F(FaultingBarTest, WhatIsMappedFaults) {
  const std::byte* const memory = host.mappings().front().memory;
  std::array<uint32_t, 1> word{};
  EXPECT_TRUE(try_read_mmio(memory, word));
  hardware->set_faulting(true);
  EXPECT_FALSE(try_read_mmio(memory, word));
  hardware->set_faulting(false);
  EXPECT_TRUE(try_read_mmio(memory, word));
}

TEST_F(FaultingBarTest, WhatWasThereIsThereAgain) {
  const PhysicalEntry before = hardware->entry(1);
  hardware->set_faulting(true);
  hardware->set_faulting(false);
  EXPECT_EQ(hardware->entry(1), before);
  EXPECT_EQ(device->check_health(), 0U) << "nothing is damaged";
  expect_all_deliver();
}

TEST_F(FaultingBarTest, TheAuditGoesOn) {
  hardware->set_faulting(true);
  for (unsigned audits = 0; audits < 3; ++audits) {
    const auto done = device->check_health();
    ASSERT_FALSE(done) << "the table shows no message of the host";
    EXPECT_EQ(done.error().code, EIO);
  }
  hardware->set_faulting(false);
  expect_all_deliver();
}

TEST_F(FaultingBarTest, DamageMeanwhileIsRestored) {
  hardware->set_faulting(true);
  hardware->backdoor_reset();
  EXPECT_FALSE(device->check_health());
  hardware->set_faulting(false);
  expect_all_deliver();
}

TEST_F(FaultingBarTest, AVectorIsMaskedAndUnmasked) {
  hardware->set_faulting(true);
  mask(1, true);
  mask(1, false);
  EXPECT_EQ(mmio_read(kNvmeTable + 16 + 12), 0U);
  hardware->set_faulting(false);
  expect_all_deliver();
}

TEST_F(FaultingBarTest, AnAccessOfTheGuestsThatExitsReadsAllOnes) {
  hardware->set_faulting(true);
  EXPECT_EQ(mmio_read(kNvmeTable + 0x800), UINT32_MAX) << "after the table, in its page";
  mmio_write(kNvmeTable + 0x800, 0x1234);
  hardware->set_faulting(false);
  EXPECT_EQ(mmio_read(kNvmeTable + 0x800), 0U) << "the write was dropped";
}

TEST_F(FaultingBarTest, ALookFindsAllOnes) {
  constexpr MsixEntry kNoAnswer{UINT32_MAX, UINT32_MAX, UINT32_MAX, UINT32_MAX};
  hardware->set_faulting(true);
  const VectorInspection vector = device->inspect().vectors.at(1);
  EXPECT_EQ(vector.in_device, kNoAnswer);
  EXPECT_TRUE(vector.damaged);
  EXPECT_EQ(vector.why, "the device does not answer");
}

TEST_F(FaultingBarTest, ItIsDetached) {
  hardware->set_faulting(true);
  device->detach();
  EXPECT_THAT(host.mappings(), IsEmpty());
}

TEST_F(FaultingBarTest, TheGuestResetsItsDevice) {
  hardware->set_faulting(true);
  device->config_write(FakeCapability::kExpress + 8, 2, 0x8000);
  hardware->set_faulting(false);
  start_driver(kVectors);
  expect_all_deliver();
}

}  // namespace
}  // namespace passthru
