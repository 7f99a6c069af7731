// SPDX-License-Identifier: MIT
// The sizes of capabilities, and what a guest reads behind a hidden capability.
#include <linux/pci_regs.h>

#include "tests/unit/mmap/config_space_fixture.h"

namespace passthru {
namespace {

/// Returns a capability of an image with this capability alone, at 0x40.
Capability express_at(uint16_t flags, uint8_t next) {
  ConfigImage image;
  image.put16(0x06, 0x0010);
  image.put8(0x34, 0x40);
  image.put_capability(0x40, PCI_CAP_ID_EXP, next);
  image.put16(0x42, flags);
  if (next != 0) image.put_capability(next, PCI_CAP_ID_PM, 0);
  return find_capabilities(image.bytes).at(0);
}

TEST(CapabilitySizes, Case8AreThoseOfTheSpecification) {
  constexpr uint16_t kVfResizable = 0x24;
  struct Expected {
    uint16_t id;
    uint32_t registers;  ///< at offset 4
    uint32_t control;    ///< at offset 8
    uint16_t size;
  };
  for (const Expected& expected : std::vector<Expected>{
           {PCI_EXT_CAP_ID_DSN, 0, 0, 12},
           {PCI_EXT_CAP_ID_ACS, 0, 0, 8},
           {PCI_EXT_CAP_ID_ACS, 0x0820, 0, 12},  // egress control of 8 functions
           {PCI_EXT_CAP_ID_ACS, 0x0020, 0, 40},  // of 256 functions
           {PCI_EXT_CAP_ID_ARI, 0, 0, 8},
           {PCI_EXT_CAP_ID_ATS, 0, 0, 8},
           {PCI_EXT_CAP_ID_SRIOV, 0, 0, 64},
           {PCI_EXT_CAP_ID_PRI, 0, 0, 16},
           {PCI_EXT_CAP_ID_REBAR, 0, 0x40, 20},  // two BARs
           {kVfResizable, 0, 0x20, 12},
           {PCI_EXT_CAP_ID_LTR, 0, 0, 8},
           {PCI_EXT_CAP_ID_SECPCI, 0, 0, 76},
           {PCI_EXT_CAP_ID_PASID, 0, 0, 8},
           {PCI_EXT_CAP_ID_L1SS, 0, 0, 20},
           {PCI_EXT_CAP_ID_PTM, 0, 0, 12},
           {PCI_EXT_CAP_ID_DLF, 0, 0, 12},
           {PCI_EXT_CAP_ID_PL_16GT, 0, 0, 64},
           {PCI_EXT_CAP_ID_DOE, 0, 0, 24},
           {PCI_EXT_CAP_ID_VNDR, 0x01000001, 0, 16},
           {PCI_EXT_CAP_ID_DVSEC, 0x02000001, 0, 32},
           {PCI_EXT_CAP_ID_VC, 0, 0, 0xf00},  // open: up to the end of config space
           {0xeeee, 0, 0, 0xf00},             // unknown
       }) {
    ConfigImage image(4096);
    image.put32(0x100, 0x00010000 | expected.id);
    image.put32(0x104, expected.registers);
    image.put32(0x108, expected.control);
    EXPECT_EQ(find_capabilities(image.bytes).at(0).size, expected.size) << expected.id;
  }
}

TEST(CapabilitySizes, Case8ExtendedCapabilitiesEndBeforeTheNextOne) {
  ConfigImage image(4096);
  image.put32(0x100, 0x10c1'001e);  // L1 PM Substates, next at 0x10c
  image.put32(0x10c, 0x0001'0003);
  const auto found = find_capabilities(image.bytes);
  ASSERT_EQ(found.size(), 2U);
  EXPECT_EQ(found[0].size, 12);
  EXPECT_TRUE(found[0].cut);
  EXPECT_EQ(found[1].size, 12);
}

TEST(CapabilitySizes, Case8APciExpressCapabilityOfVersion1IsNotCut) {
  constexpr uint16_t kIntegrated = PCI_EXP_TYPE_RC_END << 4;
  EXPECT_EQ(express_at(kIntegrated | 1, 0).size, 12);
  EXPECT_EQ(express_at(kIntegrated | 2, 0).size, 44);
  EXPECT_EQ(express_at(1, 0).size, 20);
  EXPECT_FALSE(express_at(kIntegrated | 1, 0x4c).cut);
  EXPECT_FALSE(express_at(1, 0x4c).cut) << "an endpoint without the link's registers";
  EXPECT_EQ(express_at(1, 0x4c).size, 12);
  EXPECT_TRUE(express_at(1, 0x48).cut) << "without Device Control";
  EXPECT_TRUE(express_at(2, 0x54).cut) << "version 2 always has all its registers";
}

TEST_F(ConfigSpaceTest, Case8FixedLengthCapabilitiesHideOnlyTheirOwnBytes) {
  image->put32(0x1a0, 0x17010003);  // DSN -> 0x170
  image->put32(0x170, 0x00010018);  // LTR, the last capability
  image->put32(0x174, 0x10031003);
  image->put8(0x70f, 0x55);
  make();
  EXPECT_EQ(space->read(0x1a0, 4), 0x00010003U) << "the guest's list ends before LTR";
  EXPECT_EQ(space->read(0x170, 4), 0U);
  EXPECT_EQ(space->read(0x174, 4), 0U);
  EXPECT_EQ(space->read(0x70f, 1), 0x55U);
  put(0x70f, 1, 0x27);
  EXPECT_EQ(image->writes, "1807+1 ");
  EXPECT_EQ(space->read(0x70f, 1), 0x27U);
}

TEST_F(ConfigSpaceTest, Case8RegistersBehindAHiddenCapabilityOfTheFirstListPass) {
  image->put_capability(kAf, 0x06, 0);  // Hot Swap, hidden, 4 bytes
  image->put8(kAf + 2, 0x77);
  image->put8(kAf + 4, 0x55);
  make();
  EXPECT_EQ(space->read(kAf, 4), 0U);
  EXPECT_EQ(space->read(kAf + 4, 1), 0x55U);
}

TEST_F(ConfigSpaceTest, Case8ACapabilityWithoutAKnownLengthHidesEverythingUpToTheNext) {
  image->put32(0x1a0, 0x200100ee);  // unknown -> 0x200
  image->put8(0x1fc, 0x55);
  image->put8(0x20c, 0x66);  // behind DSN
  make();
  EXPECT_EQ(space->read(0x1fc, 4), 0U);
  EXPECT_EQ(space->read(0x20c, 1), 0x66U);
}

TEST_F(ConfigSpaceTest, Case8ADeviceWithVersion1OfPciExpressKeepsItsReset) {
  image->put16(kExpress + 2, 0x0091);  // version 1, integrated endpoint
  image->put_capability(kExpress, 0x10, kExpress + 12);
  image->put_capability(kExpress + 12, 0x11, kAf);
  image->put16(kExpress + 14, 64);
  image->put32(kExpress + 16, 0x2000);
  image->put32(kExpress + 20, 0x3000);
  make();
  EXPECT_EQ(listed(), "1 16 17 19 ");
  EXPECT_TRUE(space->write(kExpressControl, 2, 0x8000).reset_requested);
}

}  // namespace
}  // namespace passthru
