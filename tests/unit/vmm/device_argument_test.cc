// SPDX-License-Identifier: MIT
// Tests of the words that name a device and its options.
#include "vmm/device_argument.h"

#include <gtest/gtest.h>

#include <cerrno>
#include <chrono>
#include <optional>
#include <string>

namespace passthru {
namespace {

TEST(DeviceArgument, IsABdfAndAnOptionThatDoesNotExistIsNamed) {
  EXPECT_EQ(parse_device_argument("0000:00:02.0")->options.device, (Bdf{.device = 2}));
  EXPECT_FALSE(parse_device_argument("nonsense"));
  for (const char* text : {"0000:00:02.0,fast", "0000:00:02.0,fast,slow"}) {
    const auto parsed = parse_device_argument(text);
    ASSERT_FALSE(parsed) << text;
    EXPECT_NE(parsed.error().message().find("'fast'"), std::string::npos)
        << parsed.error().message();
  }
  EXPECT_FALSE(parse_device_argument("0000:00:02.0,"));
}

TEST(DeviceArgument, OptionsMayComeInAnyOrder) {
  const auto plain = parse_device_argument("0000:00:02.0");
  EXPECT_EQ(plain->options.unmapped_bars, 0U);
  EXPECT_EQ(plain->options.msix, MsixChoice{});
  EXPECT_EQ(plain->options.rom, RomChoice{});
  const auto all =
      parse_device_argument("0000:00:02.0,nomap=2,rom=some/file.rom,nomap=5,msix=bar3");
  ASSERT_TRUE(all) << all.error().message();
  EXPECT_EQ(all->options.unmapped_bars, 0b100100U);
  EXPECT_EQ(all->options.rom, (RomChoice{RomChoice::Kind::File, "some/file.rom"}));
  EXPECT_EQ(all->options.msix, (MsixChoice{MsixChoice::Kind::Bar, 3}));
  EXPECT_EQ(parse_device_argument("0000:00:02.0,rom=off")->options.rom.kind, RomChoice::Kind::Off);
  constexpr const char* kToken = "bd8d9d2b-5a5f-4f5a-a211-f591514ba1f3";
  EXPECT_EQ(parse_device_argument(std::string("0000:00:02.0,vf-token=") + kToken)
                ->options.vf_token->str(),
            kToken);
  EXPECT_EQ(parse_device_argument("0000:00:02.0,vf-token=").error().code, EINVAL);
  EXPECT_EQ(parse_device_argument("0000:00:02.0,moderate=5000")->options.max_interrupts_per_second,
            5000U);
  EXPECT_EQ(parse_device_argument("0000:00:02.0,msix=auto")->options.msix.kind,
            MsixChoice::Kind::Auto);
  EXPECT_EQ(parse_device_argument("0000:00:02.0,msix=bar1,msix=inplace")->options.msix.kind,
            MsixChoice::Kind::InPlace)
      << "the last one counts";
}

TEST(DeviceArgument, Case10APlaceOnTheGuestsBusIsHexadecimalAsInAnAddress) {
  const struct {
    const char* text;
    std::optional<Bdf> address;
  } cases[] = {
      {"0000:00:02.0", std::nullopt},
      {"0000:00:02.0,addr=7", Bdf{.device = 7}},
      {"0000:00:02.0,addr=7.1", Bdf{.device = 7, .function = 1}},
      {"0000:00:02.0,addr=1f.7", Bdf{.device = 31, .function = 7}},
      {"0000:00:02.0,addr=07.0", Bdf{.device = 7}},
  };
  for (const auto& each : cases) {
    const auto parsed = parse_device_argument(each.text);
    ASSERT_TRUE(parsed) << each.text << ": " << parsed.error().message();
    EXPECT_EQ(parsed->address, each.address) << each.text;
  }
  for (const char* address : {"", "20", "7.8", "7.", ".1", "-1", "7.1.1", "0x7", "g"}) {
    const auto parsed = parse_device_argument(std::string("0000:00:02.0,addr=") + address);
    ASSERT_FALSE(parsed) << address;
    EXPECT_NE(parsed.error().message().find("like 3.1"), std::string::npos);
  }
}

TEST(DeviceArgument, Case20ALimitOfVectorsIsBetween1And2048) {
  EXPECT_EQ(parse_device_argument("0000:00:02.0")->options.max_vectors, 0U) << "no limit";
  EXPECT_EQ(parse_device_argument("0000:00:02.0,vectors=64")->options.max_vectors, 64U);
  EXPECT_EQ(parse_device_argument("0000:00:02.0,vectors=2048")->options.max_vectors, 2048U);
  for (const char* text : {"vectors", "vectors=", "vectors=0", "vectors=2049", "vectors=-1",
                           "vectors=64x", "vectors=99999999999"}) {
    const auto refused = parse_device_argument(std::string("0000:00:02.0,") + text);
    ASSERT_FALSE(refused) << text;
    EXPECT_EQ(refused.error().code, EINVAL) << text;
    EXPECT_NE(refused.error().message().find("Use 1 to 2048"), std::string::npos) << text;
  }
}

TEST(DeviceArgument, ADeviceIsResetUnlessItsOptionSaysOff) {
  EXPECT_TRUE(parse_device_argument("0000:00:02.0")->options.reset);
  EXPECT_TRUE(parse_device_argument("0000:00:02.0,reset=on")->options.reset);
  EXPECT_FALSE(parse_device_argument("0000:00:02.0,reset=off")->options.reset);
  for (const char* text : {"reset", "reset=", "reset=0", "reset=OFF", "reset=flr"}) {
    const auto refused = parse_device_argument(std::string("0000:00:02.0,") + text);
    ASSERT_FALSE(refused) << text;
    EXPECT_EQ(refused.error().code, EINVAL) << text;
    EXPECT_NE(refused.error().message().find("Use on or off"), std::string::npos) << text;
  }
}

TEST(DeviceArgument, Case15TheSilenceOfADeviceHasALimitInSeconds) {
  using std::chrono::seconds;
  EXPECT_EQ(parse_device_argument("0000:00:02.0")->options.max_silence, seconds(60));
  EXPECT_EQ(parse_device_argument("0000:00:02.0,silence=0")->options.max_silence, seconds(0));
  EXPECT_EQ(parse_device_argument("0000:00:02.0,silence=86400")->options.max_silence,
            seconds(86400));
  for (const char* text : {"silence", "silence=", "silence=86401", "silence=-1", "silence=1s"}) {
    const auto refused = parse_device_argument(std::string("0000:00:02.0,") + text);
    ASSERT_FALSE(refused) << text;
    EXPECT_NE(refused.error().message().find("Use 0 to 86400"), std::string::npos) << text;
  }
}

TEST(DeviceArgument, DescriptorsMayNameTheDevice) {
  const auto node = parse_device_argument("fd=4,iommufd=5,msix=auto");
  ASSERT_TRUE(node) << node.error().message();
  EXPECT_EQ(node->source.cdev_fd, 4);
  EXPECT_EQ(node->source.iommufd, 5);
  EXPECT_EQ(node->options.msix.kind, MsixChoice::Kind::Auto);
  const auto group = parse_device_argument("group-fd=4,container-fd=6,bdf=0000:00:02.0");
  ASSERT_TRUE(group) << group.error().message();
  EXPECT_EQ(group->source.group_fd, 4);
  EXPECT_EQ(group->source.container_fd, 6);
  EXPECT_EQ(group->options.device, (Bdf{.device = 2}));
  EXPECT_EQ(parse_device_argument("0000:00:02.0,group-fd=4")->source.group_fd, 4);

  for (const char* text : {"group-fd=4", "iommufd=5", "msix=auto", "fd=", "fd=-1", "fd=x",
                           "fd=99999999999", "bdf=nonsense"}) {
    const auto refused = parse_device_argument(text);
    ASSERT_FALSE(refused) << text;
    EXPECT_EQ(refused.error().code, EINVAL) << text;
  }
  EXPECT_NE(parse_device_argument("group-fd=4").error().message().find("bdf=BDF"),
            std::string::npos);
}

TEST(DeviceArgument, AValueThatAnOptionDoesNotTakeIsRefusedWithThoseThatItTakes) {
  const struct {
    const char* option;
    const char* advice;
  } cases[] = {{"nomap", "0 to 5"},
               {"nomap=", "0 to 5"},
               {"nomap=6", "0 to 5"},
               {"nomap=1,2", "nomap=N"},
               {"nomap=-1", "0 to 5"},
               {"msix", "auto, inplace"},
               {"msix=bar", "bar5"},
               {"msix=bar6", "bar5"},
               {"msix=bar11", "bar5"},
               {"msix=AUTO", "inplace"},
               {"rom", "rom=off"},
               {"rom=", "rom=off"},
               {"moderate=0", "1 to 1000000"},
               {"moderate=1000001", "1 to 1000000"},
               {"moderate=9x", "1 to 1000000"},
               {"moderate=", "1 to 1000000"},
               {"fast=1", "msix=auto"},
               {"nomap=1,,rom=off", "rom=FILE"}};
  for (const auto& [option, advice] : cases) {
    const auto parsed = parse_device_argument(std::string("0000:00:02.0,") + option);
    ASSERT_FALSE(parsed) << option;
    EXPECT_EQ(parsed.error().code, EINVAL) << option;
    EXPECT_NE(parsed.error().message().find(advice), std::string::npos) << parsed.error().message();
  }
}

}  // namespace
}  // namespace passthru
