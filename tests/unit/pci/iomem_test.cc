// SPDX-License-Identifier: MIT
// Tests of the users of a BAR's memory, from texts as Linux prints them.
#include "pci/iomem.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

namespace passthru {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr Bdf kDisplay{.bus = 1};
constexpr HostRange kBar{0xe0000000, 0xefffffff};

constexpr const char* kIomem =
    "00000000-00000fff : Reserved\n"
    "c0000000-febfffff : PCI Bus 0000:00\n"
    "  e0000000-efffffff : PCI Bus 0000:01\n"
    "    e0000000-efffffff : 0000:01:00.0\n"
    "      e0000000-e02fffff : BOOTFB\n"
    "  f0000000-f0003fff : 0000:00:02.0\n"
    "    f0000000-f0003fff : nvme\n"
    "100000000-17fffffff : System RAM\n";

TEST(BarHolders, Case2AreTheResourcesWithinTheBar) {
  EXPECT_THAT(bar_holders(kIomem, kDisplay, kBar), ElementsAre("BOOTFB"));
  EXPECT_THAT(bar_holders(kIomem, Bdf{.device = 2}, {0xf0000000, 0xf0003fff}), ElementsAre("nvme"));
  EXPECT_THAT(bar_holders(kIomem, kDisplay, {0xc0000000, 0xc0003fff}), IsEmpty());
}

TEST(BarHolders, Case2AUserOfTheWholeBarCounts) {
  EXPECT_THAT(bar_holders("e0000000-efffffff : 0000:01:00.0\n"
                          "  e0000000-efffffff : ramoops:dump(0/1)\n",
                          kDisplay, kBar),
              ElementsAre("ramoops:dump(0/1)"));
}

TEST(BarHolders, Case2TheDriverOfVfioDoesNotCount) {
  EXPECT_THAT(bar_holders("e0000000-efffffff : 0000:01:00.0\n"
                          "  e0000000-efffffff : vfio-pci\n",
                          kDisplay, kBar),
              IsEmpty());
}

TEST(BarHolders, Case2AnUnprivilegedReaderSeesNone) {
  EXPECT_THAT(bar_holders("00000000-00000000 : PCI Bus 0000:01\n"
                          "  00000000-00000000 : 0000:01:00.0\n"
                          "    00000000-00000000 : BOOTFB\n",
                          kDisplay, kBar),
              IsEmpty());
}

TEST(BarHolders, Case2LinesThatMakeNoSenseAreSkipped) {
  for (const char* text : {"", "\n\n", "BOOTFB\n", "e0000000 : BOOTFB\n", "e0000000-x : BOOTFB\n",
                           " : - \n", "- : -", "1ffffffffe0000000-1ffffffffe02fffff : BOOTFB"}) {
    EXPECT_THAT(bar_holders(text, kDisplay, kBar), IsEmpty()) << text;
  }
}

TEST(BarRange, Case2IsThatOfAMemoryBarWithAnAddress) {
  const std::string resource =
      "0x00000000e0000000 0x00000000efffffff 0x0000000000042208\n"
      "0x0000000000000000 0x0000000000000000 0x0000000000000000\n"
      "0x000000000000c040 0x000000000000c05f 0x0000000000040101\n"
      "0x0000000000000000 0x0000000000000fff 0x0000000020040200\n";
  EXPECT_EQ(bar_range(resource, 0), kBar);
  EXPECT_FALSE(bar_range(resource, 1)) << "absent";
  EXPECT_FALSE(bar_range(resource, 2)) << "ports";
  EXPECT_FALSE(bar_range(resource, 3)) << "without an address";
  EXPECT_FALSE(bar_range(resource, 4)) << "beyond the file";
  EXPECT_FALSE(bar_range("x\n", 0));
}

}  // namespace
}  // namespace passthru
