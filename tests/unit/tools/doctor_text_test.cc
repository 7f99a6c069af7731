// SPDX-License-Identifier: MIT
// Tests of the report of `passthru doctor`: the worst finding first, one cure for one cause,
// commands that can be copied, and the conclusion.
#include "tools/doctor_text.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <sstream>

namespace passthru::tools {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

constexpr std::optional<Bdf> kDoctored = Bdf{.bus = 1};
constexpr DoctorReader kRootInAPipe{};

/// A machine without VFIO's modules, and a device of the host.
std::vector<HostCheck> unprepared() {
  return {{"iommu", Answer::Ok, "12 IOMMU groups"},
          {"interrupt_remapping", Answer::Unknown, "cannot tell"},
          {"vfio", Answer::No, "the module vfio is not loaded", "", {"modprobe vfio-pci"}},
          {"iommufd", Answer::Warn, "/dev/iommu cannot be opened", "Use the group"},
          {"container", Answer::No, "VFIO is not loaded", "", {"modprobe vfio-pci"}},
          {"driver", Answer::No, "it is bound to nvme", "", {"passthru bind 0000:01:00.0"}}};
}

std::vector<std::string> text_lines(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream in(text);
  for (std::string line; std::getline(in, line);) lines.push_back(line);
  return lines;
}

TEST(DoctorText, HasTheWorstFindingFirstOneCureForACauseAndTheConclusionLast) {
  EXPECT_EQ(doctor_text(unprepared(), kDoctored, kRootInAPipe),
            "no    vfio                 the module vfio is not loaded\n"
            "no    container            VFIO is not loaded\n"
            "no    driver               it is bound to nvme\n"
            "warn  iommufd              /dev/iommu cannot be opened\n"
            "-     interrupt_remapping  cannot tell\n"
            "ok    iommu                12 IOMMU groups\n"
            "\n"
            "vfio, container:\n"
            "  modprobe vfio-pci\n"
            "driver:\n"
            "  passthru bind 0000:01:00.0\n"
            "iommufd: Use the group\n"
            "\n"
            "0000:01:00.0 cannot be assigned, because the module vfio is not loaded; and 1 other "
            "cause\n");
}

TEST(DoctorText, OfAReadyDeviceHasNoCures) {
  EXPECT_EQ(doctor_text({{"iommu", Answer::Ok, "12 IOMMU groups"}}, kDoctored, kRootInAPipe),
            "ok    iommu                12 IOMMU groups\n"
            "\n"
            "0000:01:00.0 can be assigned\n");
}

TEST(DoctorText, WhatNoCommandFixesComesBeforeWhatACommandFixes) {
  std::vector<HostCheck> checks = unprepared();
  checks.push_back({"reserved_memory", Answer::No, "firmware reserves memory", "Try another slot"});
  checks.push_back({"answers", Answer::No, "it does not answer", ""});
  const auto sorted = worst_first(checks);
  std::vector<std::string> names;
  for (const HostCheck& check : sorted) names.emplace_back(check.name);
  EXPECT_THAT(names, ElementsAre("reserved_memory", "answers", "vfio", "container", "driver",
                                 "iommufd", "interrupt_remapping", "iommu"));
  EXPECT_EQ(
      conclusion(checks, kDoctored),
      "0000:01:00.0 cannot be assigned, because firmware reserves memory; and 3 other causes");
}

TEST(DoctorText, OneActionForTwoFindingsIsPrintedOnce) {
  const std::string text =
      doctor_text({{"device", Answer::No, "no IOMMU", "Enable it in the firmware"},
                   {"iommu", Answer::No, "no group", "Enable it in the firmware"}},
                  kDoctored, kRootInAPipe);
  EXPECT_THAT(text, HasSubstr("\ndevice, iommu: Enable it in the firmware\n"));
  EXPECT_THAT(text, HasSubstr("\n0000:01:00.0 cannot be assigned, because no IOMMU\n"));
}

TEST(DoctorText, AFindingWithoutActionIsACauseOfItsOwn) {
  const std::vector<HostCheck> checks = {{"a", Answer::No, "a is missing"},
                                         {"b", Answer::No, "b is missing"}};
  EXPECT_EQ(conclusion(checks, kDoctored),
            "0000:01:00.0 cannot be assigned, because a is missing; and 1 other cause");
  EXPECT_EQ(text_lines(doctor_text(checks, kDoctored, kRootInAPipe)).size(), 4U);
}

TEST(DoctorText, TheWordsOfAnySameCauseAreKept) {
  const std::vector<std::string> bind = {"passthru bind --group 0000:01:00.0"};
  EXPECT_THAT(
      doctor_text({{"driver", Answer::No, "it is bound to nvme", "", bind},
                   {"group", Answer::No, "the group is shared", "Or move the device", bind}},
                  kDoctored, kRootInAPipe),
      HasSubstr("\ndriver, group: Or move the device:\n"
                "  passthru bind --group 0000:01:00.0\n\n"));
}

TEST(DoctorText, TheConclusionNamesWhatIsUnknown) {
  const std::vector<HostCheck> checks = {{"in_use", Answer::Unknown, "no use is visible"},
                                         {"reset", Answer::Warn, "the device has no reset"}};
  EXPECT_EQ(conclusion(checks, kDoctored), "0000:01:00.0 can be assigned; unknown: in_use");
}

TEST(DoctorText, WithoutADeviceTheConclusionIsAboutTheMachine) {
  EXPECT_EQ(conclusion({{"iommu", Answer::Ok, ""}}, std::nullopt),
            "this machine can assign devices");
  EXPECT_EQ(conclusion({{"iommu", Answer::No, "there is no IOMMU group"}}, std::nullopt),
            "this machine cannot assign devices, because there is no IOMMU group");
}

TEST(DoctorText, CommandsOfOtherUsersUseSudoAndTheUsersOwnNameAndShell) {
  const std::vector<HostCheck> checks = {
      {"group_node",
       Answer::No,
       "it cannot be opened",
       "",
       {"chown \"$USER\" /dev/vfio/5", "echo 0 > /sys/x", "kill 8 && kill -CONT 8"}}};
  EXPECT_THAT(doctor_text(checks, kDoctored, {.root = false}),
              HasSubstr("\n  sudo chown \"$USER\" /dev/vfio/5\n"
                        "  sudo sh -c 'echo 0 > /sys/x'\n"
                        "  sudo sh -c 'kill 8 && kill -CONT 8'\n"));
}

TEST(DoctorText, NothingButACommandIsWiderThanTheTerminal) {
  constexpr size_t kNarrow = 40;
  const std::string command = "umount -A /dev/mapper/a-volume-with-quite-a-long-name";
  std::vector<HostCheck> checks = unprepared();
  checks.push_back({"in_use",
                    Answer::No,
                    "a volume is mounted on a rather long path",
                    "Stop all of its uses",
                    {command}});
  const auto lines = text_lines(doctor_text(checks, kDoctored, {.columns = kNarrow}));
  EXPECT_EQ(std::count(lines.begin(), lines.end(), "  " + command), 1);
  for (const std::string& line : lines) {
    if (line == "  " + command) continue;
    EXPECT_LE(line.size(), kNarrow) << line;
  }
}

TEST(DoctorText, NamesOfTheHostDoNotReachTheTerminalAsTheyAre) {
  const std::string text = doctor_text(
      {{"in_use", Answer::No, "a\nb", "c\x1b", {"umount \x1b[2J"}}}, kDoctored, kRootInAPipe);
  EXPECT_EQ(text_lines(text).size(), 6U) << text;
  EXPECT_EQ(text.find('\x1b'), std::string::npos);
}

}  // namespace
}  // namespace passthru::tools
