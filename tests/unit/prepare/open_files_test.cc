// SPDX-License-Identifier: MIT
// Tests of finding the processes that have a device node open.
#include "prepare/open_files.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>

#include "base/fd.h"
#include "tests/fakes/sysfs_tree.h"

namespace passthru {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

const DeviceNode kPort{.name = "ttyPT7", .file = "ttyPT7", .number = "4:971"};

class OpenFiles : public testing::Test {
 protected:
  std::filesystem::path proc() const { return tree.root() / "run/proc"; }
  std::vector<OpenNode> open(const std::vector<DeviceNode>& nodes) const {
    const auto found = find_open_nodes(proc(), nodes);
    EXPECT_TRUE(found) << found.error().message();
    return found.value_or(std::vector<OpenNode>());
  }
  Process described(int pid) const { return describe_process(proc(), pid); }
  SysfsTree tree;
};

// A real process that has /dev/null open, and inherits it from this process.
class OpenNull : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(null);
    child = ::fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
      for (;;) ::pause();
    }
  }
  void TearDown() override {
    ::kill(child, SIGKILL);
    ::waitpid(child, nullptr, 0);
  }
  // Returns whether the process `pid` has the node open, by the real /proc.
  static bool is_open_in(int pid, const DeviceNode& node) {
    const auto found = find_open_nodes("/proc", {node});
    EXPECT_TRUE(found) << found.error().message();
    if (!found || found->empty()) return false;
    const auto& processes = found->front().processes;
    return std::any_of(processes.begin(), processes.end(),
                       [&](const Process& each) { return each.pid == pid; });
  }

  Fd null{::open("/dev/null", O_RDONLY | O_CLOEXEC)};
  pid_t child = -1;
};

TEST_F(OpenFiles, EachProcessOfANodeIsNamedOnceInTheOrderOfPids) {
  tree.add_process(1000, "/usr/bin/minicom -D /dev/ttyPT7", {"/dev/null", "/dev/ttyPT7"});
  tree.add_process(812, "agetty ttyPT7", {"/dev/ttyPT7", "/dev/ttyPT7", "socket:[1]"});
  tree.add_process(7, "bash", {"/dev/null", "/home/dev/notes"});
  const auto found = open({{.name = "x", .file = "xPT"}, kPort});
  ASSERT_THAT(found, SizeIs(1));
  EXPECT_EQ(found[0].node.name, "ttyPT7");
  ASSERT_THAT(found[0].processes, SizeIs(2));
  EXPECT_EQ(found[0].processes[0].str(), "process 812 (agetty ttyPT7)");
  EXPECT_EQ(found[0].processes[1].str(), "process 1000 (/usr/bin/minicom -D /dev/ttyPT7)");
}

TEST_F(OpenFiles, WithoutNodesNoProcessIsRead) {
  EXPECT_THAT(open({}), IsEmpty());
}

TEST_F(OpenNull, ANodeIsFoundByItsNumberUnderAnyName) {
  EXPECT_TRUE(is_open_in(child, {.name = "null", .file = "null", .number = "1:3"}));
  EXPECT_TRUE(is_open_in(child, {.name = "null", .file = "elsewhere", .number = "1:3"}));
}

TEST_F(OpenNull, TheNameOfANodeIsNoProofIfItsNumberDiffers) {
  EXPECT_FALSE(is_open_in(child, {.name = "null", .file = "null", .number = "1:999"}));
  EXPECT_FALSE(is_open_in(child, {.name = "null", .file = "null", .number = "1:3", .block = true}));
}

TEST_F(OpenNull, TheCallingProcessDoesNotFindItself) {
  EXPECT_FALSE(is_open_in(::getpid(), {.name = "null", .file = "null", .number = "1:3"}));
}

TEST_F(OpenFiles, TheWorkIsBounded) {
  tree.add_process(812, "agetty", {"/dev/null", "/dev/zero", "/dev/full"});
  size_t seen = 0;
  const auto count = [&](const OpenFile&) { ++seen; };
  EXPECT_TRUE(for_each_open_file(proc(), count, 3));
  EXPECT_EQ(seen, 3U);
  const auto many = for_each_open_file(proc(), count, 2);
  ASSERT_FALSE(many);
  EXPECT_EQ(many.error().code, E2BIG);
  EXPECT_EQ(many.error().message(),
            "cannot find the processes that have it open: the processes have more than 2 open "
            "files");
}

TEST_F(OpenFiles, WithoutProcThereIsNoAnswer) {
  EXPECT_EQ(find_open_nodes(tree.root() / "nowhere", {kPort}).error().code, ENOENT);
}

TEST_F(OpenFiles, OtherEntriesOfProcAreSkipped) {
  tree.put("run/proc/self/fd/x", "").put("run/proc/12a/fd/0", "").put("run/proc/-3/fd/0", "");
  EXPECT_TRUE(for_each_open_file(proc(), [](const OpenFile&) { FAIL(); }));
}

TEST_F(OpenFiles, ALongCommandIsCutAndAHiddenCommandIsReplacedByItsName) {
  tree.add_process(8, "/usr/bin/qemu " + std::string(100, 'a'), {});
  EXPECT_EQ(described(8).command, "/usr/bin/qemu " + std::string(46, 'a') + "...");
  tree.add_process(9, "kworker", {}).put("run/proc/9/cmdline", "");
  EXPECT_EQ(described(9).command, "kworker");
}

TEST_F(OpenFiles, ACommandDoesNotActUponTheTerminal) {
  tree.add_process(8, "qemu\x1b[2J", {})
      .put("run/proc/8/cmdline",
           "qemu\x1b[2J\xc2\x9b"
           "31m");
  EXPECT_EQ(described(8).command, "qemu?[2J??31m");
}

// ---- the command that ends a process ----------------------------------------------------------

TEST_F(OpenFiles, AProcessOutsideOfServicesIsKilled) {
  tree.add_process(8, "minicom", {});
  tree.put("run/proc/8/cgroup", "0::/user.slice/user-1000.slice/session-3.scope\n");
  EXPECT_EQ(described(8).remedy(), "kill 8");
}

// A stopped process does not act on SIGTERM.
TEST_F(OpenFiles, AStoppedProcessIsContinuedToo) {
  tree.add_process(8, "minicom", {}).put("run/proc/8/stat", "8 (mini) com) T 1 1\n");
  EXPECT_TRUE(described(8).stopped);
  EXPECT_EQ(described(8).str(), "process 8 (minicom, stopped)");
  EXPECT_EQ(described(8).remedy(), "kill 8 && kill -CONT 8");
  tree.put("run/proc/8/stat", "8 (a) T b) S 1 1\n");
  EXPECT_FALSE(described(8).stopped);
}

// systemd would start the process again.
TEST_F(OpenFiles, AServiceIsStoppedInsteadOfItsProcess) {
  tree.add_process(8, "agetty", {});
  tree.put("run/proc/8/cgroup",
           "1:name=systemd:/system.slice/system-serial\\x2dgetty.slice/"
           "serial-getty@ttyS1.service\n0::/\n");
  EXPECT_EQ(described(8).remedy(), "systemctl stop serial-getty@ttyS1.service");
  tree.put("run/proc/8/cgroup",
           "0::/user.slice/user-1000.slice/user@1000.service/session.slice/pipewire.service\n");
  EXPECT_EQ(described(8).remedy(), "systemctl stop --user -M 1000@ pipewire.service");
  tree.put("run/proc/8/cgroup", "0::/system.slice/a:b-C_9.service\n");
  EXPECT_EQ(described(8).remedy(), "systemctl stop a:b-C_9.service");
  tree.put("run/proc/8/cgroup", "0::/system.slice/a\\x2db.service\n");
  EXPECT_EQ(described(8).remedy(), "systemctl stop a\\\\x2db.service") << "a shell removes one";
  tree.put("run/proc/8/cgroup", "0::/user.slice/user-1000.slice/user@1000.service/x.scope\n");
  EXPECT_EQ(described(8).remedy(), "kill 8");
  tree.put("run/proc/8/cgroup", "0::/machine.slice/x.service\n");
  EXPECT_EQ(described(8).remedy(), "kill 8") << "a service of a container";
}

// Root may copy the command into a shell.
TEST_F(OpenFiles, AControlGroupThatAUserNamedIsNotPartOfACommand) {
  tree.add_process(8, "agetty", {});
  for (const char* const group :
       {"/system.slice/a;reboot;.service", "/system.slice/$(reboot).service",
        "/system.slice/a b.service", "/system.slice/-Hhost.service",
        "/system.slice/\xc2\x9b.service",
        "/user.slice/user-1000.slice/user@1000.service/a&reboot&.service",
        "/user.slice/user@1;reboot;.service/a.service", "/user.slice/user@.service/a.service"}) {
    tree.put("run/proc/8/cgroup", std::string("0::") + group + "\n");
    EXPECT_EQ(described(8).remedy(), "kill 8") << group;
  }
}

TEST_F(OpenFiles, InitAndTheSessionManagerAreNotEnded) {
  tree.add_process(1, "/sbin/init", {});
  EXPECT_EQ(described(1).remedy(), "");
  tree.add_process(700, "systemd-logind", {});
  tree.put("run/proc/700/cgroup", "0::/system.slice/systemd-logind.service\n");
  EXPECT_EQ(described(700).remedy(), "");
}

}  // namespace
}  // namespace passthru
