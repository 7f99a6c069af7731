// SPDX-License-Identifier: MIT
// Tests of the places of assigned functions on the guest's bus.
#include "vmm/bus_places.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cerrno>
#include <string>
#include <vector>

namespace passthru {
namespace {

using ::testing::HasSubstr;

/// Returns "SLOT.FUNCTION" of each place, with "+" if the slot has other functions.
std::string text_of(const std::vector<BusPlace>& places) {
  std::string text;
  for (const BusPlace& place : places) {
    if (!text.empty()) text += ' ';
    text += place.address.str().substr(8) + (place.multifunction ? "+" : "");
  }
  return text;
}

Bdf bdf(const char* text) {
  return Bdf::parse(text).value();
}

PlaceRequest at(const char* device) {
  return {.device = bdf(device)};
}

PlaceRequest chosen(const char* device, const char* address) {
  return {.device = bdf(device), .address = bdf(address)};
}

TEST(BusPlaces, Case10FunctionsOfOneDeviceShareASlot) {
  const struct {
    const char* what;
    std::vector<PlaceRequest> requests;
    const char* places;
  } cases[] = {
      {"no device", {}, ""},
      {"two devices", {at("00:03.0"), at("00:02.0")}, "01.0 02.0"},
      {"a GPU and its audio function", {at("01:00.0"), at("01:00.1")}, "01.0+ 01.1+"},
      {"the audio function first", {at("01:00.1"), at("01:00.0")}, "01.1+ 01.0+"},
      {"with another device between them",
       {at("01:00.0"), at("02:00.0"), at("01:00.2")},
       "01.0+ 02.0 01.2+"},
      {"without function 0", {at("01:00.3"), at("01:00.1")}, "01.3+ 01.0+"},
      {"only function 1", {at("01:00.1")}, "01.0"},
      {"the same numbers in two segments", {at("0000:01:00.0"), at("0001:01:00.1")}, "01.0 02.0"},
      {"virtual functions",
       {{.device = bdf("01:10.0"), .is_virtual = true},
        {.device = bdf("01:10.1"), .is_virtual = true}},
       "01.0 02.0"},
      {"devices that are known by a descriptor only", {{}, {}}, "01.0 02.0"},
      {"chosen places",
       {chosen("00:02.0", "00:07.0"), chosen("00:03.0", "00:07.1")},
       "07.0+ 07.1+"},
      {"a chosen place before the others",
       {at("00:02.0"), chosen("00:03.0", "00:01.0"), at("00:04.0")},
       "02.0 01.0 03.0"},
      {"a sibling that the user puts elsewhere",
       {at("01:00.0"), chosen("01:00.1", "00:05.0")},
       "01.0 05.0"},
  };
  for (const auto& each : cases) {
    const auto places = place_on_bus(each.requests);
    ASSERT_TRUE(places) << each.what << ": " << places.error().message();
    EXPECT_EQ(text_of(*places), each.places) << each.what;
  }
}

TEST(BusPlaces, Case10APlaceThatTheGuestWouldNotFindIsRefused) {
  const struct {
    std::vector<PlaceRequest> requests;
    const char* says;
  } cases[] = {
      {{chosen("00:02.0", "00:00.0")}, "slot 0 has the host bridge"},
      {{chosen("00:02.0", "00:07.1")}, "slot 7 has no function 0"},
      {{chosen("00:02.0", "00:07.1")}, "addr=7.0"},
      {{chosen("00:02.0", "00:07.0"), chosen("00:03.0", "00:07.0")},
       "0000:00:02.0 has this address too"},
  };
  for (const auto& each : cases) {
    const auto refused = place_on_bus(each.requests);
    ASSERT_FALSE(refused) << each.says;
    EXPECT_EQ(refused.error().code, EINVAL);
    EXPECT_THAT(refused.error().message(), HasSubstr(each.says));
  }
}

TEST(BusPlaces, Case10AFunctionNeedsNoSlotOfItsOwn) {
  std::vector<PlaceRequest> requests;
  for (uint8_t device = 0; device < 31; ++device) {
    for (uint8_t function = 0; function < 8; ++function) {
      requests.push_back({.device = {.bus = 1, .device = device, .function = function}});
    }
  }
  EXPECT_TRUE(place_on_bus(requests));
  requests.push_back(at("02:00.0"));
  const auto refused = place_on_bus(requests);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ENOSPC);
  EXPECT_THAT(refused.error().message(), HasSubstr("need 32 slots, and the PCI bus has 31"));
}

TEST(BusPlaces, Case10ChosenSlotsCountWhenSlotsAreTooFew) {
  std::vector<PlaceRequest> requests;
  for (uint8_t slot = 1; slot < 32; ++slot)
    requests.push_back({.device = {.bus = slot}, .address = Bdf{.device = slot}});
  requests.push_back({.device = {.bus = 40}, .address = Bdf{.device = 5, .function = 1}});
  EXPECT_TRUE(place_on_bus(requests));
  requests.push_back({.device = {.bus = 41}});
  const auto refused = place_on_bus(requests);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ENOSPC);
  EXPECT_THAT(refused.error().message(), HasSubstr("need 32 slots, and the PCI bus has 31"));
}

}  // namespace
}  // namespace passthru
