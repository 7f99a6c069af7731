// SPDX-License-Identifier: MIT
// Tests of the options of an assigned device, and of their effect on the guest's view.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "tests/unit/device/assigned_fixture.h"
#include "tests/unit/mmap/rom_file.h"

namespace passthru {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr uint32_t kRom = 0x30;

class AssignOptionsTest : public AssignedFixture {
 protected:
  Result<std::unique_ptr<AssignedDevice>> try_open(const FakeSpec& spec,
                                                   const AssignOptions& options) {
    if (hardware == nullptr) hardware = &plug(spec);
    return AssignedFixture::try_open(options);
  }
  void open(const FakeSpec& spec, const AssignOptions& options = {}) {
    if (hardware == nullptr) hardware = &plug(spec);
    AssignedFixture::open(options);
  }
  uint32_t sized(uint32_t reg) {
    device->config_write(reg, 4, UINT32_MAX);
    return device->config_read(reg, 4);
  }
};

TEST_F(AssignOptionsTest, ABarThatIsNotToBeMappedWorksByExits) {
  open(FakeSpec::e1000e(), {.unmapped_bars = 0b10});
  place(kWindow);
  place(kElsewhere, 1);
  EXPECT_TRUE(mapped(kWindow));
  EXPECT_FALSE(mapped(kElsewhere));
  mmio_write(kElsewhere + 0x10, 0x1234'5678);
  EXPECT_EQ(mmio_read(kElsewhere + 0x10), 0x1234'5678U);
  EXPECT_EQ(hardware->bar(1)[0x10], std::byte{0x78});
}

TEST_F(AssignOptionsTest, Case10TheHeaderTypeTellsOfOtherFunctionsInTheSlot) {
  open(FakeSpec::nvme(), {.multifunction = true});
  EXPECT_EQ(device->config_read(0x0E, 1), 0x80U);
  device.reset();
  AssignedFixture::open();
  EXPECT_EQ(device->config_read(0x0E, 1), 0U);
}

TEST_F(AssignOptionsTest, MsixInAFreeBarDeliversAndFreesThePageOfThePendingBits) {
  open(FakeSpec::nvme(), {.msix = {.kind = MsixChoice::Kind::Bar, .bar = 4}});
  EXPECT_EQ(device->config_read(FakeCapability::kMsix + 4, 4), 4U);
  place(kWindow);
  place(kElsewhere, 4);
  EXPECT_TRUE(mapped(kWindow + 0x1000));
  EXPECT_FALSE(mapped(kWindow + 0x2000)) << "the physical table";
  EXPECT_TRUE(mapped(kWindow + 0x3000)) << "the page of the physical PBA";
  EXPECT_FALSE(mapped(kElsewhere)) << "the virtual table";
  enable_msix();
  enable_vector(64, kElsewhere);
  EXPECT_EQ(hardware->fire(64), Fired::Delivered);
  EXPECT_THAT(host.delivered(), ElementsAre(message_of(64)));
}

TEST_F(AssignOptionsTest, WhereThePhysicalTableIsNobodyAnswersAndItsNeighboursDo) {
  open(FakeSpec::xhci(), {.msix = {.kind = MsixChoice::Kind::Bar, .bar = 0}});
  EXPECT_EQ(sized(kBar0), 0xffff'8004U) << "twice as large";
  place(kWindow);
  enable_msix();
  enable_vector(3, kWindow + 0x4000);
  const PhysicalEntry before = hardware->entry(3);
  EXPECT_EQ(before, hardware->host_message(3));
  EXPECT_FALSE(mapped(kWindow + 0x3000)) << "even if the guest's table is elsewhere";
  mmio_write(kWindow + 0x3000 + 3 * 16, 0);
  EXPECT_EQ(hardware->entry(3), before);
  EXPECT_EQ(mmio_read(kWindow + 0x3000 + 3 * 16), UINT32_MAX);
  EXPECT_EQ(mmio_read(kWindow + 0x4000 + 3 * 16 + 8), 0x43U);
  mmio_write(kWindow + 0x3400, 0x1122'3344);
  EXPECT_EQ(hardware->bar(0)[0x3400], std::byte{0x44}) << "a register beside the table";
  EXPECT_EQ(mmio_read(kWindow + 0x7ff0), UINT32_MAX) << "the upper half has no registers";
  EXPECT_EQ(hardware->fire(3), Fired::Delivered);
}

TEST_F(AssignOptionsTest, MsixThatCannotBeThereIsRefusedWithWhatCan) {
  const auto refused =
      try_open(FakeSpec::e1000e(), {.msix = {.kind = MsixChoice::Kind::Bar, .bar = 2}});
  ASSERT_FALSE(refused);
  EXPECT_THAT(refused.error().message(), HasSubstr("0000:00:03.0"));
  EXPECT_THAT(refused.error().message(), HasSubstr("bar4"));
  EXPECT_TRUE(kernel->nothing_leaked());
}

TEST_F(AssignOptionsTest, TheDevicesOwnRomIsShownWhileItsEnableBitAndMemoryDecodeAreOn) {
  open(FakeSpec::e1000e());
  EXPECT_EQ(sized(kRom), 0xfffc'0001U);
  device->config_write(kRom, 4, static_cast<uint32_t>(kElsewhere) | 1);
  EXPECT_EQ(mmio_read(kElsewhere), UINT32_MAX) << "no memory decode";
  device->config_write(kCommand, 2, 0x2);
  EXPECT_EQ(mmio_read(kElsewhere), 0x5a5a'5a5aU);
  device->config_write(kRom, 4, static_cast<uint32_t>(kElsewhere));
  EXPECT_EQ(mmio_read(kElsewhere), UINT32_MAX);
}

TEST_F(AssignOptionsTest, ARomThatIsOffOrEmptyOrUnreadableIsAbsent) {
  FakeSpec unreadable = FakeSpec::e1000e();
  unreadable.rom_readable = false;
  open(unreadable);
  EXPECT_EQ(sized(kRom), 0U);
  device.reset();
  const RomFile file("\x55\xaa");
  open(unreadable, {.rom = {RomChoice::Kind::File, file.path()}});
  EXPECT_EQ(sized(kRom), 0xffff'f801U) << "a ROM file does not depend on the device's ROM";
  device.reset();
  open(unreadable, {.rom = {.kind = RomChoice::Kind::Off}});
  EXPECT_EQ(sized(kRom), 0U);
}

TEST_F(AssignOptionsTest, ARomFromAFileReplacesTheDevicesWhole) {
  const RomFile file(std::string("\x55\xaa", 2) + std::string(0x1000, 'r'));
  open(FakeSpec::e1000e(), {.rom = {RomChoice::Kind::File, file.path()}});
  EXPECT_EQ(sized(kRom), 0xffff'e001U) << "rounded up to a power of two";
  device->config_write(kRom, 4, static_cast<uint32_t>(kElsewhere) | 1);
  device->config_write(kCommand, 2, 0x2);
  EXPECT_EQ(mmio_read(kElsewhere), 0x7272'aa55U);
  EXPECT_EQ(mmio_read(kElsewhere + 0x1000), 0xffff'7272U);
  EXPECT_EQ(mmio_read(kElsewhere + 0x1ffc), UINT32_MAX);
}

TEST_F(AssignOptionsTest, ARomFileThatCannotBeReadIsRefusedBeforeTheDeviceIsOpened) {
  const auto refused = try_open(FakeSpec::nvme(), {.rom = {RomChoice::Kind::File, "no/such.rom"}});
  ASSERT_FALSE(refused);
  EXPECT_THAT(refused.error().message(), HasSubstr("no/such.rom"));
  EXPECT_THAT(kernel->calls(), IsEmpty());
}

TEST_F(AssignOptionsTest, MsiThatFiresWhileMaskedIsPendingUntilItIsUnmasked) {
  FakeSpec spec = FakeSpec::nvme();
  spec.msix = {};
  spec.msi_vectors = 4;
  spec.msi_maskable = true;
  open(spec);
  constexpr uint32_t kMask = kMsi + 0x10;
  constexpr uint32_t kPending = kMsi + 0x14;
  device->config_write(kMsi + 4, 4, 0xfee0'0000);
  device->config_write(kMsi + 12, 2, 0x40);
  device->config_write(kMsi + 2, 2, 0x21);  // 4 messages, enabled
  EXPECT_EQ(hardware->fire(2), Fired::Delivered);
  EXPECT_THAT(host.delivered(), ElementsAre(MsiMessage{0xfee0'0000, 0x42}));
  device->config_write(kMask, 4, 0x4);
  hardware->fire(2);
  EXPECT_THAT(host.delivered(), IsEmpty());
  EXPECT_EQ(device->config_read(kPending, 4), 0x4U);
  EXPECT_EQ(device->config_read(kPending, 1), 0x4U);
  device->config_write(kMask, 4, 0);
  EXPECT_THAT(host.delivered(), ElementsAre(MsiMessage{0xfee0'0000, 0x42}));
  EXPECT_EQ(device->config_read(kPending, 4), 0U);
}

}  // namespace
}  // namespace passthru
