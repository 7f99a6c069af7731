// SPDX-License-Identifier: MIT
// Tests of parsing kernel device events. Only events about PCI functions are read; anything else
// from any sender is ignored.
#include "pci/uevents.h"

#include <gtest/gtest.h>
#include <sys/resource.h>

#include <array>
#include <cerrno>
#include <ostream>
#include <random>
#include <string>

namespace passthru {
namespace {

using namespace std::string_literals;

// A datagram of Linux 6.1.
const std::string kAdded =
    "add@/devices/pci0000:00/0000:00:05.0/0000:01:00.0\0ACTION=add\0"
    "DEVPATH=/devices/pci0000:00/0000:00:05.0/0000:01:00.0\0SUBSYSTEM=pci\0PCI_CLASS=20000\0"
    "PCI_ID=8086:10D3\0PCI_SUBSYS_ID=8086:0000\0PCI_SLOT_NAME=0000:01:00.0\0"
    "MODALIAS=pci:v00008086d000010D3sv00008086sd00000000bc02sc00i00\0SEQNUM=1724\0"s;

/// Returns a similar event with other values.
std::string about(const std::string& action, const std::string& devpath,
                  const std::string& subsystem) {
  return action + "@" + devpath + "\0ACTION="s + action + "\0DEVPATH="s + devpath +
         "\0SUBSYSTEM="s + subsystem + "\0SEQNUM=7\0"s;
}

TEST(Uevent, TellsWhatHappenedToWhichFunction) {
  EXPECT_EQ(parse_uevent(kAdded, 0), (Uevent{.action = "add", .bdf = {.bus = 1}}));
  EXPECT_EQ(parse_uevent(about("unbind", "/devices/pci0001:40/0001:40:1f.7", "pci"), 0),
            (Uevent{.action = "unbind",
                    .bdf = {.segment = 1, .bus = 0x40, .device = 0x1f, .function = 7}}));
  EXPECT_EQ(parse_uevent(about("add", "/devices/pci10000:e0/10000:e0:06.0", "pci"), 0),
            (Uevent{.action = "add", .bdf = {.segment = 0x10000, .bus = 0xe0, .device = 6}}));
}

struct Ignored {
  const char* name;
  std::string datagram;
  uint32_t sender = 0;
  friend void PrintTo(const Ignored& ignored, std::ostream* out) { *out << ignored.name; }
};

class IgnoredUevent : public testing::TestWithParam<Ignored> {};

TEST_P(IgnoredUevent, IsNone) {
  EXPECT_EQ(parse_uevent(GetParam().datagram, GetParam().sender), std::nullopt);
}

const char* const kFunction = "/devices/pci0000:00/0000:00:02.0";

const std::vector<Ignored> kIgnored = {
    {"FromAProcess", kAdded, 1234},
    {"Empty", ""},
    {"NulOnly", "\0"s},
    {"NulsOnly", std::string(2048, '\0')},
    {"HeaderOnly", "add@/devices/pci0000:00/0000:00:02.0\0"s},
    {"HeaderWithoutEnd", "add@/devices/pci0000:00/0000:00:02.0"},
    {"LastWithoutEnd", kAdded.substr(0, kAdded.size() - 1)},
    {"CutInTheMiddle", kAdded.substr(0, 100)},
    {"Udevs", "libudev\0\xfe\xed\xca\xfe"s + kAdded},
    {"HeaderOfAnotherAction", "remove" + kAdded.substr(3)},
    {"HeaderOfAnotherObject",
     "add@/devices/x\0ACTION=add\0DEVPATH=/devices/0000:00:02.0\0SUBSYSTEM=pci\0"s},
    {"AnotherActionLater", kAdded + "ACTION=remove\0"s},
    {"NoAction", "@"s + kFunction + "\0DEVPATH="s + kFunction + "\0SUBSYSTEM=pci\0"s},
    {"UnknownAction", about("explode", kFunction, "pci")},
    {"ActionWithControlCharacters", about("add\x1b[2J", kFunction, "pci")},
    {"NoSubsystem", "add@"s + kFunction + "\0ACTION=add\0DEVPATH="s + kFunction + "\0"s},
    {"ABus", about("add", "/devices/pci0000:00/0000:00:05.0/pci_bus/0000:01", "pci_bus")},
    {"AService",
     about("add", "/devices/pci0000:00/0000:00:05.0/0000:00:05.0:pcie001", "pci_express")},
    {"ADriver", about("add", "/bus/pci/drivers/vfio-pci", "drivers")},
    {"NoAddress", about("add", "/devices/pci0000:00", "pci")},
    {"NoPath", about("add", "", "pci")},
    {"AnAddressTooLong", about("add", "/devices/0000:00:02.00", "pci")},
    {"AnAddressOutOfRange", about("add", "/devices/0000:00:20.0", "pci")},
    {"ASegmentTooLong", about("add", "/devices/100000000:e0:06.0", "pci")},
    {"KeysWithoutEquals", "add@x\0ACTION\0DEVPATH\0SUBSYSTEM\0"s},
    {"EqualsOnly", "add@x\0=\0==\0"s},
};

INSTANTIATE_TEST_SUITE_P(Uevents, IgnoredUevent, testing::ValuesIn(kIgnored),
                         [](const auto& each) { return std::string(each.param.name); });

TEST(Uevent, AnyBytesAreReadWithinTheirBounds) {
  std::mt19937 random(7);
  for (unsigned round = 0; round < 20000; ++round) {
    // Copies it to a buffer of exactly that size, so that AddressSanitizer detects any read beyond
    // it.
    std::string damaged = kAdded.substr(0, random() % (kAdded.size() + 1));
    for (unsigned left = random() % 8; left != 0 && !damaged.empty(); --left) {
      damaged[random() % damaged.size()] = static_cast<char>(random() % 4 == 0 ? 0 : random());
    }
    const std::vector<char> exact(damaged.begin(), damaged.end());
    const auto event = parse_uevent({exact.data(), exact.size()}, 0);
    EXPECT_TRUE(!event || event->action == "add");
  }
}

TEST(Uevent, ListeningTakesNoPrivilegeAndDoesNotWait) {
  auto events = Uevents::open();
  ASSERT_TRUE(events) << events.error().message();
  EXPECT_GE(events->fd(), 0);
  const auto none = events->receive();
  ASSERT_TRUE(none) << none.error().message();
  EXPECT_EQ(*none, std::nullopt);
}

TEST(Uevent, WithoutADescriptorForItNobodyListens) {
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &before), 0);
  const rlimit none{.rlim_cur = 0, .rlim_max = before.rlim_max};
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &none), 0);
  const auto events = Uevents::open();
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &before), 0);
  ASSERT_FALSE(events);
  EXPECT_EQ(events.error().code, EMFILE);
  EXPECT_EQ(events.error().message(),
            "cannot listen to the kernel's device events: Too many open files");
}

}  // namespace
}  // namespace passthru
