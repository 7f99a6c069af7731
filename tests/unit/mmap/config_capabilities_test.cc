// SPDX-License-Identifier: MIT
// The capabilities of config space: what the guest sees, and which requests it may make.
#include "tests/unit/mmap/config_space_fixture.h"

namespace passthru {
namespace {

TEST_F(ConfigSpaceTest, InD3HotTheBarsLeaveTheGuestAndTheDeviceStaysInD0) {
  make();
  put(kBar0 + 8, 4, 0x90000000);
  put(kCommand, 2, kMemory);
  const ConfigChange off = space->write(kPm + 4, 2, 3);
  EXPECT_TRUE(off.decode_changed);
  EXPECT_EQ(off.power_state, 3U);
  EXPECT_FALSE(off.reset_requested);
  EXPECT_EQ(space->placement(), BarAddresses{});
  EXPECT_EQ(space->read(kPm + 4, 2) & 3, 3U);
  EXPECT_EQ(image->get16(kPm + 4) & 3, 0);
  const ConfigChange on = space->write(kPm + 4, 2, 0);
  EXPECT_EQ(on.power_state, 0U);
  EXPECT_TRUE(on.reset_requested) << "it loses its state in D3hot";
}

TEST_F(ConfigSpaceTest, ADeviceThatKeepsItsStateInD3HotIsNotReset) {
  image->put16(kPm + 4, 0x0008);
  make();
  put(kPm + 4, 2, 3);
  EXPECT_FALSE(space->write(kPm + 4, 2, 0).reset_requested);
}

TEST_F(ConfigSpaceTest, ADeviceThatIsNeverResetShowsNoWayToResetIt) {
  make({.resets = false});
  EXPECT_EQ(space->read(kExpress + 4, 4), 0U);
  EXPECT_FALSE(space->write(kExpressControl, 2, 0x8000).reset_requested);
  EXPECT_EQ(listed().find("19 "), std::string::npos) << "Advanced Features";
  EXPECT_FALSE(space->write(kAf + 4, 1, 1).reset_requested);
  EXPECT_EQ(space->read(kPm + 4, 2), 0x0008U) << "No_Soft_Reset";
  put(kPm + 4, 2, 3);
  EXPECT_FALSE(space->write(kPm + 4, 2, 0).reset_requested);
}

TEST_F(ConfigSpaceTest, ADStateThatTheDeviceLacksIsNotEntered) {
  make();
  EXPECT_FALSE(space->write(kPm + 4, 2, 1).power_state);
  EXPECT_EQ(space->read(kPm + 4, 2) & 3, 0U);
  image->put16(kPm + 2, 0x0203);  // D1
  make();
  EXPECT_EQ(space->write(kPm + 4, 1, 1).power_state, 1U);
  EXPECT_FALSE(space->write(kPm + 4, 2, 2).power_state);
  EXPECT_EQ(space->power_state(), 1U);
}

TEST_F(ConfigSpaceTest, TheGuestsMsixControlIsOurs) {
  make();
  ASSERT_TRUE(space->msix());
  EXPECT_EQ(space->msix()->table_size(), 65U * 16);
  EXPECT_EQ(space->msix()->pba_size(), 16U);
  EXPECT_EQ(space->read(kMsix + 2, 2), 64U);
  EXPECT_EQ(space->write(kMsix + 2, 2, 0xffff).msix_control, 0xc040);
  EXPECT_EQ(space->write(kMsix + 3, 1, 0x80).msix_control, 0x8040) << "by bytes";
  EXPECT_FALSE(space->write(kMsix + 3, 1, 0x80).msix_control) << "nothing changed";
  EXPECT_EQ(space->write(kMsix, 4, 0).msix_control, 0x0040) << "with its header";
  put(kMsix + 4, 4, 0);
  EXPECT_EQ(space->read(kMsix + 4, 4), 0x2000U);
  EXPECT_EQ(image->writes, "");
}

struct Liar {
  std::string name;
  uint16_t last_vector;
  uint32_t table;
  uint32_t pba;
};

class LyingMsix : public ConfigSpaceTest, public testing::WithParamInterface<Liar> {};

TEST_P(LyingMsix, IsHidden) {
  image->put16(kMsix + 2, GetParam().last_vector);
  image->put32(kMsix + 4, GetParam().table);
  image->put32(kMsix + 8, GetParam().pba);
  source.msix_vectors = GetParam().last_vector + 1U;
  make();
  EXPECT_FALSE(space->msix());
  EXPECT_EQ(listed(), "1 16 19 ");
  EXPECT_EQ(space->read(kMsix + 2, 2), 0U);
  EXPECT_FALSE(space->write(kMsix + 2, 2, 0x8000).msix_control);
}

INSTANTIATE_TEST_SUITE_P(ConfigSpace, LyingMsix,
                         testing::Values(Liar{"TableBeyondItsBar", 64, 0x3c00, 0},
                                         Liar{"TableFarBeyondItsBar", 64, 0xfffffff8, 0},
                                         Liar{"TableInABarThatIsNot", 64, 0x2004, 0x3000},
                                         Liar{"TableInAReservedBar", 64, 0x2007, 0x3000},
                                         Liar{"TableInTheUpperHalf", 0, 0x1, 0x3000},
                                         Liar{"TableInPorts", 0, 0x3, 0x3000},
                                         Liar{"PbaInTheTable", 64, 0x2000, 0x2400},
                                         Liar{"TooManyVectorsForTheBar", 2047, 0, 0x2}),
                         [](const auto& test) { return test.param.name; });

TEST_F(ConfigSpaceTest, TheHostsNumberOfVectorsLimitsTheGuests) {
  source.msix_vectors = 3;
  make();
  EXPECT_EQ(space->read(kMsix + 2, 2), 2U);
  source.msix_vectors = 0;
  make();
  EXPECT_FALSE(space->msix());
}

TEST_F(ConfigSpaceTest, Case10OnTheRootBusNoFeatureThatNeedsAPortIsOffered) {
  constexpr uint32_t kCapabilities2 = kExpress + 0x24, kControl2 = kExpress + 0x28;
  image->put32(kCapabilities2, 0xFFFFFFFF);
  image->put16(kControl2, 0x0400);  // the host has LTR on
  make({.on_root_bus = true});
  EXPECT_EQ(space->read(kCapabilities2, 4), ~0x000F0BC0U) << "AtomicOps, LTR, 10-bit tags, OBFF";
  put(kControl2, 2, 0xFFFF);
  EXPECT_EQ(image->get16(kControl2) & 0x74C0, 0x0400) << "AtomicOp requests stay off, LTR stays on";
  EXPECT_EQ(space->read(kControl2, 2) & 0x74C0, 0U);
  EXPECT_EQ(space->read(kControl2, 2) & 0x001F, 0x001FU) << "the completion timeout is the guest's";
  make();
  put(kControl2, 2, 0x0040);
  EXPECT_EQ(image->get16(kControl2), 0x0040) << "behind a port the guest decides";
}

TEST_F(ConfigSpaceTest, Case10AnOldExpressCapabilityEndsBeforeThePortsFeatures) {
  image->put16(kExpress + 2, 0x0001);
  image->put32(kExpress + 0x24, 0xFFFFFFFF);
  make({.on_root_bus = true});
  EXPECT_EQ(space->read(kExpress + 0x24, 4), 0xFFFFFFFFU) << "other registers of the device";
}

TEST_F(ConfigSpaceTest, AResetThatTheGuestAsksForIsNotMadeByTheDevice) {
  make();
  const ConfigChange change = space->write(kExpressControl, 2, 0xa810);
  EXPECT_TRUE(change.reset_requested);
  EXPECT_EQ(image->get16(kExpressControl), 0x2810);
  EXPECT_EQ(space->read(kExpressControl, 2), 0x2810U);
  EXPECT_FALSE(space->write(kExpressControl, 2, 0x2810).reset_requested);
  EXPECT_TRUE(space->write(kExpressControl + 1, 1, 0x80).reset_requested);
  EXPECT_TRUE(space->write(kAf + 4, 1, 1).reset_requested);
  EXPECT_TRUE(space->write(kAf + 1, 4, 0x01000000).reset_requested)
      << "the last byte of a wider write";
  EXPECT_EQ(space->read(kAf + 4, 1), 0U);
}

TEST_F(ConfigSpaceTest, AResetThatTheDeviceDoesNotHaveIsNotAskedFor) {
  image->put32(kExpress + 4, 0);
  image->put8(kAf + 3, 0x01);
  make();
  EXPECT_FALSE(space->write(kExpressControl, 2, 0x8000).reset_requested);
  EXPECT_FALSE(space->write(kAf + 4, 1, 1).reset_requested);
}

TEST_F(ConfigSpaceTest, HiddenCapabilitiesAreSkippedAndReadZero) {
  make();
  EXPECT_EQ(listed(), "1 16 17 19 ");
  EXPECT_EQ(space->read(kMsi, 4), 0U);
  put(kMsi + 4, 4, UINT32_MAX);
  EXPECT_EQ(space->read(kMsi + 4, 4), 0U);
  EXPECT_EQ(image->writes, "");
}

TEST_F(ConfigSpaceTest, WithEveryCapabilityHiddenThereIsNoList) {
  image->put8(0x34, kMsi);
  image->put_capability(kMsi, 0x05, 0);
  make();
  EXPECT_EQ(space->read(0x34, 1), 0U);
  EXPECT_EQ(space->read(0x06, 2) & 0x10, 0U);
}

TEST_F(ConfigSpaceTest, ExtendedCapabilitiesAreLinkedPastHiddenOnes) {
  make();
  EXPECT_EQ(space->read(0x100, 4), 0x20010001U);
  EXPECT_EQ(space->read(0x1a0, 4), 0U);
  EXPECT_EQ(space->read(0x1a4, 4), 0U);
  EXPECT_EQ(space->read(0x200, 4), 0x00010003U);
}

TEST_F(ConfigSpaceTest, AHiddenFirstExtendedCapabilityKeepsItsPlaceWithoutAnId) {
  image->put32(0x100, 0x2000000f);
  make();
  EXPECT_EQ(space->read(0x100, 4), 0x20000000U);
  image->put32(0x100, 0x0000000f);
  make();
  EXPECT_EQ(space->read(0x100, 4), 0U);
}

TEST_F(ConfigSpaceTest, ASecondCapabilityOfAVirtualKindIsHidden) {
  image->put_capability(kAf, 0x11, 0);
  image->put16(kAf + 2, 3);
  make();
  EXPECT_EQ(listed(), "1 16 17 ");
  EXPECT_EQ(space->msix()->capability, kMsix);
}

TEST_F(ConfigSpaceTest, MsiIsOursWhereItIsShown) {
  make({.msi = true});
  EXPECT_EQ(listed(), "1 5 16 17 19 ");
  EXPECT_EQ(space->read(kMsi + 2, 2), 0x0186U);
  put(kMsi + 4, 4, 0xfee01003);
  put(kMsi + 8, 4, 0x1);
  put(kMsi + 12, 2, 0x41);
  put(kMsi + 16, 4, 0x5);
  EXPECT_TRUE(space->write(kMsi + 2, 2, 0x0131).msi_changed);
  EXPECT_EQ(space->msi(), (MsiRegisters{0x01b7, 0x1fee01000, 0x41, 0x5}));
  EXPECT_FALSE(space->write(kMsi + 2, 2, 0x0131).msi_changed);
  EXPECT_EQ(image->writes, "");
}

TEST_F(ConfigSpaceTest, MsiPendingBitsAreOursToSay) {
  image->put32(kMsi + 20, 0xff);
  make({.msi = true});
  EXPECT_EQ(space->read(kMsi + 20, 4), 0U);
  space->set_msi_pending(0x85);
  EXPECT_EQ(space->read(kMsi + 20, 4), 0x85U);
  EXPECT_EQ(space->read(kMsi + 18, 4), 0x00850000U) << "behind the mask bits";
  put(kMsi + 20, 4, 0);
  EXPECT_EQ(space->read(kMsi + 20, 1), 0x85U) << "read-only";
  const struct {
    uint32_t offset;
    unsigned width;
    bool covers;
  } cases[] = {{kMsi + 20, 1, true},  {kMsi + 23, 1, true},  {kMsi + 17, 4, true},
               {kMsi + 16, 4, false}, {kMsi + 24, 4, false}, {UINT32_MAX, 4, false}};
  for (const auto& [offset, width, covers] : cases) {
    EXPECT_EQ(space->covers_msi_pending(offset, width), covers) << offset;
  }
  make();
  EXPECT_FALSE(space->covers_msi_pending(kMsi + 20, 4)) << "hidden";
}

TEST_F(ConfigSpaceTest, MsixElsewhereIsSaidByTheCapabilityAndByTheBars) {
  make({.msix = {.kind = MsixChoice::Kind::Bar, .bar = 4}});
  EXPECT_EQ(space->read(kMsix + 4, 4), 0x4U);
  EXPECT_EQ(space->read(kMsix + 8, 4), 0x414U);
  EXPECT_EQ(space->read(kMsix + 2, 2), 64U);
  EXPECT_EQ(sized(kBar0 + 16), 0xfffff000U);
  put(kBar0 + 16, 4, 0x90000000);
  put(kCommand, 2, kMemory);
  EXPECT_EQ(space->placement()[4], 0x90000000U);
  EXPECT_EQ(space->msix()->table_offset, 0x2000U) << "the device's own does not move";
  make({.msix = {.kind = MsixChoice::Kind::Bar, .bar = 0}});
  EXPECT_EQ(sized(kBar0), 0xffff800cU) << "twice as large, of the same type";
  EXPECT_EQ(space->read(kMsix + 4, 4), 0x4000U);
}

TEST_F(ConfigSpaceTest, MsixThatCannotBeWhereItIsWantedIsRefused) {
  const ConfigOptions ports{.msix = {.kind = MsixChoice::Kind::Bar, .bar = 3}};
  EXPECT_EQ(ConfigSpace::create(source, ports).error().code, EINVAL);
  source.msix_vectors = 0;
  const ConfigOptions free{.msix = {.kind = MsixChoice::Kind::Bar, .bar = 4}};
  EXPECT_EQ(ConfigSpace::create(source, free).error().code, EINVAL) << "there is no MSI-X";
  EXPECT_TRUE(ConfigSpace::create(source, {.msix = {.kind = MsixChoice::Kind::Auto}}));
}

TEST_F(ConfigSpaceTest, EveryCapabilityIsToldWithItsReason) {
  make();
  ASSERT_EQ(space->capabilities().size(), 8U);
  for (const Capability& capability : space->capabilities()) EXPECT_STRNE(capability.reason, "");
}

TEST_F(ConfigSpaceTest, Case20TheCapabilitiesSayHowManyVectorsTheGuestHas) {
  source.msix_vectors = 8;
  source.msi_vectors = 2;
  make({.msi = true});
  EXPECT_EQ(space->read(kMsix + 2, 2), 7U);
  EXPECT_EQ(space->msix()->vectors, 65U) << "the device's own table does not change";
  EXPECT_EQ(space->msix_placement().layout.vectors, 8U);
  EXPECT_EQ(space->read(kMsi + 2, 2), 0x0182U) << "2 of 8 messages";
  source.msi_vectors = 32;
  make({.msi = true});
  EXPECT_EQ(space->read(kMsi + 2, 2), 0x0186U) << "never more than the device has";
}

}  // namespace
}  // namespace passthru
