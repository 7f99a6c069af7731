// SPDX-License-Identifier: MIT
// Tests that no command prints a line that is wider than its terminal. The commands run on a
// pseudo-terminal, with made-up devices and a scripted VMM.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <csignal>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <regex>
#include <sstream>
#include <string>
#include <vector>

#include "tests/fakes/sysfs_tree.h"
#include "tests/unit/tools/made_up_sys.h"
#include "tests/unit/tools/scripted_vmm.h"
#include "tests/unit/tools/terminal_job.h"
#include "tools/commands.h"
#include "tools/printable.h"
#include "tools/topology/topology_watch.h"

namespace passthru::tools {
namespace {

struct CommandOnTerminal {
  const char* name;
  const char* words;
  bool asks_vmm;
};

class TerminalWidth : public testing::TestWithParam<CommandOnTerminal> {
 protected:
  void SetUp() override {
    tree.add({.driver = "nvme", .group = 7});
    tree.add_child("0000:00:02.0", "nvme/nvme0/nvme0n1", "block");
    tree.add({.bdf = "0000:00:03.0", .class_code = 0x020000, .driver = "e1000e", .group = 7});
    tree.add_child("0000:00:03.0", "net/enp0s3", "net");
    tree.put("bus/pci/devices/0000:00:03.0/net/enp0s3/flags", "0x1003\n");
    if (!may_enter_sys(tree.root())) GTEST_SKIP() << "needs root to create a mount namespace";
    std::array<char, 32> name{"/tmp/passthru-XXXXXX"};
    ASSERT_NE(::mkdtemp(name.data()), nullptr);
    directory = name.data();
  }
  void TearDown() override {
    if (!directory.empty()) std::filesystem::remove_all(directory);
  }

  /// Runs the command and returns what a terminal of this width shows, without colours.
  [[nodiscard]] std::string output(unsigned short columns) const {
    const std::string socket = (directory / (std::to_string(columns) + ".sock")).string();
    ScriptedVmm vmm(socket, kDevice);
    vmm.damage("its entry in the device is empty, because the device was reset by its firmware");
    TerminalJob job;
    job.resize(24, columns);
    std::string line = GetParam().words;
    if (GetParam().asks_vmm) line += " " + kDevice.str() + " --socket " + socket;
    job.start([&] {
      if (!enter_sys(tree.root())) return kUsage;
      CLI::App app;
      int status = kDone;
      for (const auto add : {add_list, add_doctor, add_topology, add_bars, add_msix})
        add(app, status);
      app.parse(line);
      return kDone;  // some answers are no
    });
    if (GetParam().asks_vmm) vmm.serve(/*max_looks=*/9);
    EXPECT_EQ(job.ended(), kDone) << job.text();
    return std::regex_replace(job.text(), std::regex("\x1b\\[[?0-9;]*[a-zA-Z]"), "");
  }

  SysfsTree tree;
  std::filesystem::path directory{};
};

size_t widest_line(const std::string& text) {
  size_t widest = 0;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) widest = std::max(widest, columns_of(line));
  return widest;
}

TEST_P(TerminalWidth, IsThatOfTheWidestLineAtMost) {
  const std::string wide = output(300);
  EXPECT_GT(widest_line(wide), 60U) << "nothing to wrap or to cut:\n" << wide;
  for (const uint16_t columns : std::array<uint16_t, 2>{60, 80}) {
    const std::string text = output(columns);
    EXPECT_LE(widest_line(text), columns) << text;
  }
}

INSTANTIATE_TEST_SUITE_P(
    Of, TerminalWidth,
    testing::Values(CommandOnTerminal{"List", "list", false},
                    CommandOnTerminal{"Doctor", "doctor", false},
                    CommandOnTerminal{"Topology", "topology", false},
                    CommandOnTerminal{"Bars", "bars", true},
                    CommandOnTerminal{"MsixShow", "msix show", true},
                    CommandOnTerminal{"MsixAudit", "msix audit", true},
                    CommandOnTerminal{"MsixWatch", "msix watch --count 1 --interval 0.05", true}),
    [](const auto& each) { return std::string(each.param.name); });

TEST(TopologyWatchOnATerminal, WrapsItsLinesAndGoesOnAfterCtrlZ) {
  SysfsTree tree;
  tree.add({.bdf = "0000:00:02.0"});
  TerminalJob job;
  job.resize(24, 60);
  job.start([&tree] { return watch_topology(tree.sysfs(), false); });
  ASSERT_TRUE(job.shows("0000:00:02.0")) << job.text();
  job.press('\x1a');
  ASSERT_EQ(job.stopped(), SIGTSTP) << job.text();
  job.order(TerminalJob::Order::Foreground);
  job.press('\x03');
  const auto status = job.next_status();
  ASSERT_TRUE(status && WIFSIGNALED(*status)) << job.text();
  EXPECT_EQ(WTERMSIG(*status), SIGINT);
  EXPECT_THAT(job.text(), testing::Not(testing::HasSubstr("\x1b")));
  EXPECT_LE(widest_line(job.text()), 60U) << job.text();
}

}  // namespace
}  // namespace passthru::tools
