// SPDX-License-Identifier: MIT
// Tests of VF tokens: parsing, the option for the kernel, and the errors for a wrong token.
#include "vfio/vf_token.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/vfio/virtual_function.h"

namespace passthru {
namespace {

using testing::HasSubstr;

constexpr const char* kText = "bd8d9d2b-5a5f-4f5a-a211-f591514ba1f3";

TEST(VfToken, ReadsEitherCaseAndPrintsTheLowerOne) {
  EXPECT_EQ(VfToken::parse(kText)->str(), kText);
  EXPECT_EQ(VfToken::parse("BD8D9D2B-5A5F-4F5a-a211-F591514BA1F3")->str(), kText);
  EXPECT_EQ(VfToken::parse("00000000-0000-0000-0000-000000000000")->str(),
            "00000000-0000-0000-0000-000000000000");
}

TEST(VfToken, ItsBytesAreInTheOrderInWhichTheyAreWritten) {
  const auto token = VfToken::parse("00112233-4455-6677-8899-aabbccddeeff");
  for (unsigned index = 0; index < 16; ++index) EXPECT_EQ(token->bytes()[index], index * 0x11);
}

TEST(VfToken, RefusesWhatIsNoneAndSaysWhatOneLooksLike) {
  for (const char* bad :
       {"", "bd8d9d2b", "bd8d9d2b5a5f4f5aa211f591514ba1f3", "bd8d9d2b-5a5f-4f5a-a211-f591514ba1f",
        "bd8d9d2b-5a5f-4f5a-a211-f591514ba1f33", "{bd8d9d2b-5a5f-4f5a-a211-f591514ba1f3}",
        "bd8d9d2b-5a5f-4f5a-a211-f591514ba1fg", "bd8d9d2b-5a5f-4f5a-a211+f591514ba1f3",
        "bd8d9d2b5-a5f-4f5a-a211-f591514ba1f3", "bd8d9d2b-5a5f-4f5a-a211- 591514ba1f3",
        "bd8d9d2b-5a5f-4f5a-a211-+591514ba1f3", "0xbd8d9d-5a5f-4f5a-a211-f591514ba1f3",
        " d8d9d2b-5a5f-4f5a-a211-f591514ba1f3"}) {
    const auto token = VfToken::parse(bad);
    ASSERT_FALSE(token) << bad;
    EXPECT_EQ(token.error().code, EINVAL);
    EXPECT_THAT(token.error().message(), HasSubstr(kText));
  }
}

TEST(VfToken, GoesBehindTheDevicesName) {
  EXPECT_EQ(device_name(kVirtual, std::nullopt), "0000:01:00.1");
  EXPECT_EQ(device_name(kVirtual, *VfToken::parse(kText)),
            "0000:01:00.1 vf_token=bd8d9d2b-5a5f-4f5a-a211-f591514ba1f3");
}

TEST(CheckVfToken, IsOfUseForAVirtualFunctionOfVfioAndForWhatCanHaveSome) {
  const PciFunction physical{.bdf = kPhysical, .driver = "vfio-pci", .on_vfio = true};
  EXPECT_TRUE(check_vf_token({.bdf = kVirtual, .physical_function = kPhysical}, physical));
  EXPECT_TRUE(check_vf_token({.bdf = kPhysical, .virtual_functions = VirtualFunctions{0, 7}},
                             std::nullopt));
}

TEST(CheckVfToken, SaysWhyItIsOfNoUse) {
  const auto neither = check_vf_token({.bdf = kPhysical}, std::nullopt);
  EXPECT_EQ(neither.error().code, EINVAL);
  EXPECT_EQ(neither.error().message(),
            "0000:01:00.0: cannot use the VF token: the device neither is a virtual function nor "
            "can have "
            "virtual functions. Do not give a token");
  const PciFunction function{.bdf = kVirtual, .physical_function = kPhysical};
  EXPECT_EQ(
      check_vf_token(function, PciFunction{.bdf = kPhysical, .driver = "nvme"}).error().message(),
      "0000:01:00.1: cannot use the VF token: its physical function 0000:01:00.0 belongs to nvme: "
      "a token applies only if that function is on vfio-pci. Do not give a token");
  EXPECT_THAT(check_vf_token(function, PciFunction{.bdf = kPhysical}).error().message(),
              HasSubstr("0000:01:00.0 has no driver"));
}

std::string explained(const PciFunction& function, bool given) {
  return explain_vf_token(Error{.code = EACCES, .operation = "VFIO_GROUP_GET_DEVICE_FD"}, function,
                          given)
      .message();
}

TEST(ExplainVfToken, SaysWhoseTokenIsNeededAndWhatToDo) {
  const PciFunction function{.bdf = kVirtual, .physical_function = kPhysical};
  EXPECT_EQ(
      explained(function, false),
      "cannot call VFIO_GROUP_GET_DEVICE_FD: its physical function 0000:01:00.0 is on vfio-pci, so "
      "opening "
      "this function takes the token of that function. Use --vf-token UUID with the UUID that "
      "0000:01:00.0 was opened with, or return 0000:01:00.0 to its host driver: 'passthru unbind "
      "0000:01:00.0'");
  EXPECT_EQ(
      explained(function, true),
      "cannot call VFIO_GROUP_GET_DEVICE_FD: this is not the token that its physical function "
      "0000:01:00.0, on vfio-pci, was opened with. Give the token that 0000:01:00.0 was opened "
      "with");
}

TEST(ExplainVfToken, OfAPhysicalFunctionItIsTheUsersOfItsVirtualFunctionsWhoKnowIt) {
  EXPECT_THAT(explained({.bdf = kPhysical}, false),
              HasSubstr("its virtual functions are in use, and opening the device takes the token "
                        "that was set for them"));
  EXPECT_THAT(explained({.bdf = kPhysical}, true),
              HasSubstr("this is not the token that was set for them"));
}

TEST(ExplainVfToken, OtherErrorsStayAsTheyAre) {
  const Error busy{.code = EBUSY, .operation = "open"};
  EXPECT_EQ(explain_vf_token(busy, {.bdf = kVirtual}, false).message(), busy.message());
}

}  // namespace
}  // namespace passthru
