// SPDX-License-Identifier: MIT
// The header of config space: decode, BARs, ROM and identity; and the lifetime of the whole.
#include "tests/unit/mmap/config_space_fixture.h"

namespace passthru {
namespace {

TEST_F(ConfigSpaceTest, TheDeviceDecodesFromTheStartAndTheGuestsViewDoesNot) {
  make();
  EXPECT_EQ(image->get16(kCommand), kMemory | kIo);
  EXPECT_EQ(space->read(kCommand, 2), 0U);
  EXPECT_EQ(space->placement(), BarAddresses{});
}

TEST_F(ConfigSpaceTest, BusMasteringPassesWhileDecodeStaysOnInTheDevice) {
  make();
  put(kCommand, 2, kBusMaster);
  EXPECT_EQ(image->get16(kCommand), kBusMaster | kMemory | kIo);
  put(kCommand, 2, kBusMaster | kMemory);
  EXPECT_EQ(space->read(kCommand, 2), uint32_t{kBusMaster | kMemory});
  put(kCommand, 2, 0);
  EXPECT_EQ(image->get16(kCommand), kMemory | kIo);
  EXPECT_EQ(space->read(kCommand, 2), 0U);
}

TEST_F(ConfigSpaceTest, ADecodeBitWithoutABarOfItsKindIsHardwired) {
  source.region_sizes = {0x4000, 0, 0, 0, 0, 0, 0};
  make();
  put(kCommand, 2, 0xffff);
  EXPECT_EQ(space->command(), kMemory);
}

TEST_F(ConfigSpaceTest, SizingTellsPowersOfTwoAndTypes) {
  make();
  EXPECT_EQ(sized(kBar0), 0xffffc00cU);
  EXPECT_EQ(sized(kBar0 + 4), 0xffffffffU);
  EXPECT_EQ(sized(kBar0 + 8), 0xfffff000U);
  EXPECT_EQ(sized(kBar0 + 12), 0xffffffe1U);
  EXPECT_EQ(sized(kBar0 + 16), 0U);
  EXPECT_EQ(sized(kBar0 + 20), 0U);
  EXPECT_EQ(sized(kRom), 0xffff8001U);
  EXPECT_EQ(image->writes, "") << "no BAR write of the guest reaches the device";
  EXPECT_EQ(space->bars()[0], (BarInfo{0x4000, false, true, true}));
  EXPECT_EQ(space->bars()[1].size, 0U);
  EXPECT_TRUE(space->io(3));
}

struct Size {
  std::string name;
  uint32_t reg;  ///< type bits
  uint64_t region;
  uint64_t size;
};

class BarSizes : public ConfigSpaceTest, public testing::WithParamInterface<Size> {};

TEST_P(BarSizes, AreOnesThatSizingCanTell) {
  image->put32(kBar0 + 20, GetParam().reg);  // BAR 5: the last, without an upper half
  source.region_sizes[5] = GetParam().region;
  make();
  EXPECT_EQ(space->bars()[5].size, GetParam().size);
  EXPECT_EQ(sized(kBar0 + 20),
            GetParam().size == 0 ? 0U : (~(GetParam().size - 1) | GetParam().reg) & UINT32_MAX);
}

INSTANTIATE_TEST_SUITE_P(ConfigSpace, BarSizes,
                         testing::Values(Size{"Unrounded", 0, 0x2800, 0x4000},
                                         Size{"Tiny", 0, 1, 16}, Size{"TinyPorts", 1, 2, 4},
                                         Size{"Largest", 0, uint64_t{1} << 31, uint64_t{1} << 31},
                                         Size{"TooLarge", 0, (uint64_t{1} << 31) + 1, 0},
                                         Size{"MuchTooLarge", 0, UINT64_MAX, 0}),
                         [](const auto& test) { return test.param.name; });

TEST_F(ConfigSpaceTest, ABarIsPlacedByWritesOfAnyWidthWhileDecodeIsOn) {
  make();
  put(kBar0, 4, 0x80000000);
  put(kBar0 + 4, 4, 1);
  EXPECT_TRUE(space->write(kCommand, 1, kMemory).decode_changed);
  EXPECT_EQ(space->placement()[0], 0x180000000U);
  for (uint32_t i = 0; i < 4; ++i) put(kBar0 + 8 + i, 1, i == 3 ? 0x90 : 0);
  EXPECT_EQ(space->placement()[2], 0x90000000U);
  EXPECT_EQ(space->placement()[3], std::nullopt);
  EXPECT_TRUE(space->write(kBar0 + 2, 4, 0x00028888).decode_changed)
      << "both halves, off their boundary";
  EXPECT_EQ(space->placement()[0], 0x288880000U);
  EXPECT_FALSE(space->write(kBar0 + 12, 4, 0xc000).decode_changed);
  EXPECT_TRUE(space->write(kCommand, 2, kMemory | kIo).decode_changed);
  EXPECT_EQ(space->placement()[3], 0xc000U);
  EXPECT_FALSE(space->write(kCommand, 2, kMemory | kIo | kBusMaster).decode_changed);
}

TEST_F(ConfigSpaceTest, ABarThatNobodyAssignedOrThatIsBeingSizedIsNowhere) {
  make();
  put(kCommand, 2, kMemory | kIo);
  EXPECT_EQ(space->placement(), BarAddresses{}) << "0";
  put(kBar0, 4, UINT32_MAX);
  EXPECT_EQ(space->placement()[0], std::nullopt) << "lower half is being sized";
  put(kBar0 + 4, 4, UINT32_MAX);
  EXPECT_EQ(space->placement()[0], std::nullopt) << "both halves are";
  put(kBar0 + 8, 4, UINT32_MAX);
  EXPECT_EQ(space->placement()[2], std::nullopt);
  put(kBar0 + 12, 4, UINT32_MAX);
  EXPECT_EQ(space->placement()[3], std::nullopt);
  put(kBar0 + 8, 4, 0xffffe000);
  EXPECT_EQ(space->placement()[2], 0xffffe000U) << "one page below is an address";
}

TEST_F(ConfigSpaceTest, TheRomNeedsItsOwnEnableBitAndMemoryDecode) {
  make();
  put(kRom, 4, 0x90000001);
  EXPECT_EQ(space->placement()[kRomBar], std::nullopt);
  put(kCommand, 2, kMemory);
  EXPECT_EQ(space->placement()[kRomBar], 0x90000000U);
  put(kRom, 1, 0);
  EXPECT_EQ(space->placement()[kRomBar], std::nullopt);
}

TEST_F(ConfigSpaceTest, ARomOfSizeZeroOrOneThatIsSwitchedOffIsAbsent) {
  make({.rom = false});
  EXPECT_EQ(sized(kRom), 0U);
  source.region_sizes[kRomBar] = 0;
  make();
  EXPECT_EQ(sized(kRom), 0U);
}

TEST_F(ConfigSpaceTest, UndoPutsTheGuestsRegisterBack) {
  make();
  put(kBar0 + 8, 4, 0x90000000);
  put(kCommand, 2, kMemory);
  const ConfigChange change = space->write(kBar0 + 8, 4, 0x91000000);
  ASSERT_TRUE(change.decode_changed);
  space->undo(change);
  EXPECT_EQ(space->read(kBar0 + 8, 4), 0x90000000U);
  EXPECT_EQ(space->placement()[2], 0x90000000U);
}

TEST_F(ConfigSpaceTest, ARomFromElsewhereHasItsOwnSize) {
  make({.rom_size = 0x2801});
  EXPECT_EQ(sized(kRom), 0xffffc001U);
  source.region_sizes[kRomBar] = 0;
  make({.rom_size = 1});
  EXPECT_EQ(sized(kRom), 0xfffff801U) << "even if the device has no ROM";
}

TEST_F(ConfigSpaceTest, TheInterruptPinIsShownOnDemandAndTheLineIsAScratchRegister) {
  make();
  EXPECT_EQ(space->read(0x3d, 1), 0U);
  put(0x3c, 1, 10);
  EXPECT_EQ(space->read(0x3c, 1), 10U);
  EXPECT_EQ(image->writes, "");
  make({.intx = true});
  EXPECT_EQ(space->read(0x3d, 1), 1U);
}

TEST_F(ConfigSpaceTest, TheHeadersIdentityPassesAndTheSelfTestDoesNot) {
  make();
  put(0x00, 4, 0);
  put(0x0c, 4, 0x40000010);
  EXPECT_EQ(space->read(0x00, 4), 0x00101b36U);
  EXPECT_EQ(space->read(0x0c, 4), 0x00000010U) << "no self test, one function, cache line written";
  EXPECT_EQ(image->writes, "12+2 ");
  make({.multifunction = true});
  EXPECT_EQ(space->read(0x0e, 1), 0x80U);
}

TEST_F(ConfigSpaceTest, ResetIsPowerOn) {
  make();
  put(kBar0 + 8, 4, 0x90000000);
  put(kCommand, 2, kMemory | kBusMaster);
  put(kMsix + 2, 2, 0x8000);
  put(kPm + 4, 2, 3);
  ASSERT_TRUE(space->reset());
  EXPECT_EQ(space->read(kBar0 + 8, 4), 0U);
  EXPECT_EQ(space->read(kCommand, 2), 0U);
  EXPECT_EQ(space->msix_control(), 64U);
  EXPECT_EQ(space->power_state(), 0U);
  EXPECT_EQ(image->get16(kCommand), kMemory | kIo) << "the kernel restores COMMAND after a reset";
}

TEST_F(ConfigSpaceTest, OneWithoutPciExpressEndsAt256) {
  source.size = 256;
  make();
  EXPECT_EQ(space->read(0x100, 4), UINT32_MAX);
  EXPECT_EQ(space->read(0xfe, 4) >> 16, 0xffffU);
}

TEST_F(ConfigSpaceTest, ADeviceThatVanishesReadsOnesAndNothingDies) {
  make();
  image->broken = true;
  EXPECT_EQ(space->read(0x00, 4), UINT32_MAX);
  put(kCommand, 2, kMemory);
  EXPECT_EQ(space->command(), kMemory);
  EXPECT_GT(space->failed_accesses(), 0U);
  EXPECT_FALSE(space->reset());
}

TEST_F(ConfigSpaceTest, WhatIsNoFunctionOfTypeZeroIsRefused) {
  image->put8(0x0e, 1);
  EXPECT_EQ(ConfigSpace::create(source).error().code, EINVAL);
  image->put8(0x0e, 0);
  source.size = 32;
  EXPECT_EQ(ConfigSpace::create(source).error().code, EINVAL);
  source.size = 256;
  image->put16(0x00, 0xffff);
  EXPECT_EQ(ConfigSpace::create(source).error().code, EIO);
  image->broken = true;
  EXPECT_EQ(ConfigSpace::create(source).error().code, EIO);
}

}  // namespace
}  // namespace passthru
