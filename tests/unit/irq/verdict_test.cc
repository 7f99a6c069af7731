// SPDX-License-Identifier: MIT
// Tests of the verdict on a vector, given the three views of it.
#include "irq/verdict.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <string>

namespace passthru {
namespace {

using ::testing::HasSubstr;

constexpr MsixEntry kHosts = {0xfee0'0010, 0, 0x21, 0};
constexpr MsixEntry kZeroed = {0, 0, 0, 0};
constexpr MsixEntry kAllOnes = {~0U, ~0U, ~0U, ~0U};

/// A vector in use, all of whose views agree.
struct View {
  FunctionState function{
      .enabled = true, .control = PCI_MSIX_FLAGS_ENABLE, .unseen = "it has no table"};
  VectorState vector{};
};

View sound() {
  View view;
  view.vector.masked = false;
  view.vector.bound = true;
  view.vector.owner = EventfdOwner::Irqfd;
  view.vector.last_sound = view.vector.in_device = kHosts;
  return view;
}

struct Case {
  const char* name;
  void (*change)(View&);
  Verdict verdict;
  const char* why;
};

class VerdictOf : public testing::TestWithParam<Case> {};

TEST_P(VerdictOf, AView) {
  View view = sound();
  GetParam().change(view);
  const VectorInspection judgement = judge(view.function, view.vector);
  EXPECT_STREQ(to_string(judgement.verdict), to_string(GetParam().verdict));
  EXPECT_THAT(judgement.why, HasSubstr(GetParam().why));
}

INSTANTIATE_TEST_SUITE_P(
    , VerdictOf,
    testing::Values(
        Case{"Sound", [](View&) {}, Verdict::Ok, ""},
        Case{"Disabled", [](View& view) { view.function.enabled = false; }, Verdict::Unused, ""},
        Case{"NeverAskedFor",
             [](View& view) { view.vector.bound = false, view.vector.masked = true; },
             Verdict::Unused, ""},
        Case{"Masked", [](View& view) { view.vector.masked = true; }, Verdict::MaskedByGuest, ""},
        Case{"FunctionMasked", [](View& view) { view.function.function_masked = true; },
             Verdict::MaskedByGuest, "by its function mask"},
        Case{"MaskedByADriver",
             [](View& view) {
               view.function.user = FunctionState::User::HostDriver;
               view.vector.last_sound.reset();
               view.vector.in_device->control = MsixEntry::kMasked;
             },
             Verdict::MaskedByHost, ""},
        Case{"Zeroed", [](View& view) { view.vector.in_device = kZeroed; }, Verdict::Cleared, ""},
        Case{"Reset", [](View& view) { view.vector.in_device = MsixEntry{}; }, Verdict::Cleared,
             ""},
        Case{"ClearedWhileMasked",
             [](View& view) { view.vector.masked = true, view.vector.in_device = MsixEntry{}; },
             Verdict::Cleared, ""},
        Case{"OtherData", [](View& view) { view.vector.in_device->data = 0x41; },
             Verdict::Different, "its data is 0x41, and was 0x21 at the last look"},
        Case{"OtherAddress", [](View& view) { view.vector.in_device->address_low = 0x1000; },
             Verdict::Different, "its address 0x1000 is not an interrupt address"},
        Case{"MaskBit", [](View& view) { view.vector.in_device->control = 1; }, Verdict::Different,
             "its mask bit is set"},
        Case{"MaskBitOfAnotherVmmsDevice",
             [](View& view) { view.vector.last_sound.reset(), view.vector.in_device->control = 1; },
             Verdict::Different, "its mask bit is set"},
        Case{"AllOnes", [](View& view) { view.vector.in_device = kAllOnes; }, Verdict::Different,
             "does not answer"},
        Case{"Enable", [](View& view) { view.function.control = 0; }, Verdict::EnableLost, ""},
        Case{"FunctionMask",
             [](View& view) {
               view.function.control = PCI_MSIX_FLAGS_ENABLE | PCI_MSIX_FLAGS_MASKALL;
             },
             Verdict::FunctionMaskLeft, ""},
        Case{"EnableExplainsTheRest",
             [](View& view) { view.function.control = 0, view.vector.in_device = MsixEntry{}; },
             Verdict::EnableLost, ""},
        Case{"NoHostInterrupt",
             [](View& view) { view.vector.bound = false, view.vector.last_error = "no space"; },
             Verdict::NotRouted, "no space"},
        Case{"NoInterruptMessage", [](View& view) { view.vector.unroutable = "no free route"; },
             Verdict::NotRouted, "no free route"},
        Case{"NotArmed",
             [](View& view) {
               view.vector.owner = EventfdOwner::Latch, view.vector.last_error = "EBUSY";
             },
             Verdict::NotRouted, "EBUSY"},
        Case{"NoVmmSaysWhatTakesTheSignals",
             [](View& view) {
               view.vector.owner = EventfdOwner::None, view.function.owners_known = false;
             },
             Verdict::Ok, ""},
        Case{"Unread", [](View& view) { view.vector.unread = true; }, Verdict::NotRouted,
             "does not take its signals"},
        Case{"NothingKnownOfTheDevice",
             [](View& view) {
               view.vector.last_sound.reset(), view.vector.in_device.reset(),
                   view.function.control.reset();
             },
             Verdict::NotSeen, "no table"},
        Case{"EntryNotRead", [](View& view) { view.vector.in_device.reset(); }, Verdict::NotSeen,
             "no table"},
        Case{"EntryNotReadAndUnused",
             [](View& view) {
               view.vector.in_device.reset();
               view.vector.bound = false, view.vector.masked = true;
             },
             Verdict::Unused, ""},
        Case{"EntryNotReadAndMasked",
             [](View& view) { view.vector.in_device.reset(), view.vector.masked = true; },
             Verdict::MaskedByGuest, ""},
        Case{"EntryNotReadAndEnableLost",
             [](View& view) { view.vector.in_device.reset(), view.function.control = 0; },
             Verdict::EnableLost, ""},
        Case{"EntryNotReadAndNotArmed",
             [](View& view) {
               view.vector.in_device.reset(), view.vector.owner = EventfdOwner::Latch;
             },
             Verdict::NotRouted, ""},
        Case{"EntryOfADriverNotRead",
             [](View& view) {
               view.function.user = FunctionState::User::HostDriver;
               view.function.owners_known = false;
               view.vector.in_device.reset(), view.vector.owner = EventfdOwner::None;
             },
             Verdict::NotSeen, "no table"},
        // Without interrupt remapping, the host moves an interrupt by writing another message.
        Case{"MovedByTheHost",
             [](View& view) {
               view.vector.last_sound = MsixEntry{0xfee0'0000, 0, 0x21, 0};
               view.vector.in_device = MsixEntry{0xfee0'1000, 0, 0x22, 0};
             },
             Verdict::Ok, ""}),
    [](const auto& each) { return std::string(each.param.name); });

TEST(Verdict, DamageIsWhatTheGuestMissesInterruptsBy) {
  for (const Verdict sound : {Verdict::Ok, Verdict::Unused, Verdict::MaskedByGuest,
                              Verdict::MaskedByHost, Verdict::NotSeen}) {
    EXPECT_FALSE(is_damage(sound)) << to_string(sound);
  }
  for (const Verdict damage : {Verdict::Cleared, Verdict::Different, Verdict::NotRouted,
                               Verdict::EnableLost, Verdict::FunctionMaskLeft}) {
    EXPECT_TRUE(is_damage(damage)) << to_string(damage);
  }
}

TEST(Verdict, TheListHasEachVerdictOnceAndDamageFirst) {
  constexpr int kMoreThanThereAre = 64;
  for (int value = 0; value < kMoreThanThereAre; ++value) {
    const auto verdict = static_cast<Verdict>(value);
    const bool exists = verdict == Verdict::Unknown || to_string(verdict) != std::string("unknown");
    EXPECT_EQ(std::count(kVerdicts.begin(), kVerdicts.end(), verdict), exists ? 1 : 0) << value;
  }
  EXPECT_TRUE(std::is_partitioned(kVerdicts.begin(), kVerdicts.end(), is_damage));
}

TEST(Verdict, AMessageIsReadAsItsFormatSays) {
  EXPECT_EQ(describe_message({0, 0}), "empty");
  EXPECT_EQ(describe_message({0x1000, 0x41}), "no interrupt");
  EXPECT_EQ(describe_message({0xfee0'3000, 0x41}), "APIC 3 vector 0x41");
  EXPECT_EQ(describe_message({0xfee0'3008, 0x141}), "APIC 3 vector 0x41")
      << "lowest priority, redirected";
  EXPECT_EQ(describe_message({0xfee0'2004, 0x41}), "APICs 0x2 (logical) vector 0x41")
      << "CPU 1 in flat mode";
  EXPECT_EQ(describe_message({0xfee0'0020, 0x41}), "APIC 256 vector 0x41")
      << "bit 8 of an extended id";
  EXPECT_EQ(describe_message({0xfee0'0000, 0x400}), "APIC 0 NMI");
  EXPECT_EQ(describe_message({0xfee0'0000, 0x200}), "APIC 0 SMI");
  EXPECT_EQ(describe_message({0xfee0'0000, 0x500}), "APIC 0 INIT");
  EXPECT_EQ(describe_message({0xfee0'0000, 0x700}), "APIC 0 ExtINT");
  EXPECT_EQ(describe_message({0xfee0'0000, 0x1'0041}), "no interrupt") << "reserved bits";
  EXPECT_EQ(describe_message({0xfee0'0110, 0}), "remapped, index 0x8");
  EXPECT_EQ(describe_message({0xfee0'0118, 2}), "remapped, index 0xa") << "with a subhandle";
  EXPECT_EQ(describe_message({0xfee0'0000, 0x2a}, true), "remapped, index 0x2a") << "AMD's format";
  EXPECT_EQ(describe_message({0xfee0'0110, 0}, true), "remapped, index 0x8") << "VT-d's format";
  EXPECT_EQ(describe_message({0, 0}, true), "empty");
}

}  // namespace
}  // namespace passthru
