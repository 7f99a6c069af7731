// SPDX-License-Identifier: MIT
// Tests of changes for which the kernel makes the writer wait. A FIFO without reader does the same.
#include "tools/bind/visible_wait.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>

#include "base/fd.h"
#include "base/small_file.h"
#include "tests/fakes/sysfs_tree.h"
#include "tools/terminal.h"

namespace passthru::tools {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

class VisibleWait : public testing::Test {
 protected:
  void SetUp() override { ASSERT_EQ(::mkfifo(fifo().c_str(), 0600), 0); }
  std::filesystem::path fifo() const { return tree.root() / "unbind"; }
  FileChange blocking() const { return {FileChange::Kind::Write, fifo(), "x"}; }
  // Opens the reader's end, so that the child's write completes, and waits for the child.
  void release_child() {
    const Fd reader(::open(fifo().c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC));
    ASSERT_TRUE(reader);
    EXPECT_GT(::waitpid(-1, nullptr, 0), 0);
  }
  Result<void> apply(const FileChange& change, std::chrono::milliseconds silence) {
    return apply_visibly(change, {.silence = silence, .say = [this](const std::string& text) {
                                    said.push_back(text);
                                  }});
  }

  SysfsTree tree;
  std::vector<std::string> said;
};

TEST_F(VisibleWait, AWriteThatCompletesIsSilent) {
  tree.put("attribute", "old");
  ASSERT_TRUE(
      apply({FileChange::Kind::Write, tree.root() / "attribute", "new"}, std::chrono::seconds(60)));
  EXPECT_EQ(*read_file(tree.root() / "attribute"), "new\n");
  EXPECT_THAT(said, IsEmpty());
}

TEST_F(VisibleWait, TheErrorOfAWriteIsTheSameAsWithoutAChild) {
  const FileChange change{FileChange::Kind::Write, "/dev/full", "x"};
  const auto full = apply(change, std::chrono::seconds(60));
  ASSERT_FALSE(full);
  EXPECT_EQ(full.error().code, ENOSPC);
  EXPECT_EQ(full.error().message(), apply_to_files(change).error().message());
}

TEST_F(VisibleWait, FilesAreCreatedAndRemoved) {
  const FileChange make{FileChange::Kind::Create, tree.root() / "run/made", "text\n"};
  ASSERT_TRUE(apply(make, std::chrono::seconds(60)));
  EXPECT_EQ(*read_file(make.file), "text\n");
  ASSERT_TRUE(apply({FileChange::Kind::Remove, make.file, {}}, std::chrono::seconds(60)));
  EXPECT_FALSE(std::filesystem::exists(make.file));
}

// `say` lets the reader come, so the write completes after it was reported.
TEST_F(VisibleWait, AWriteThatTakesLongIsReportedOnce) {
  Fd reader;
  const auto done = apply_visibly(
      blocking(), {.silence = std::chrono::milliseconds(100), .say = [&](const std::string& text) {
                     said.push_back(text);
                     reader = Fd(::open(fifo().c_str(), O_RDONLY | O_NONBLOCK));
                   }});
  EXPECT_TRUE(done) << done.error().message();
  EXPECT_THAT(said, ElementsAre("passthru: still waiting for the kernel: 'echo x > " +
                                fifo().string() + "'. Ctrl-C stops waiting\n"));
}

TEST_F(VisibleWait, CtrlCEndsTheWaitAndIsUsedUp) {
  const SignalsBlocked blocked(StopFlag::kSignals);
  ASSERT_EQ(::pthread_kill(::pthread_self(), SIGINT), 0);
  const auto done = apply(blocking(), std::chrono::milliseconds(100));
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().code, ECANCELED);
  EXPECT_EQ(said.size(), 1U) << "the wait was reported before it ended";
  sigset_t pending{};
  ASSERT_EQ(::sigpending(&pending), 0);
  EXPECT_EQ(::sigismember(&pending, SIGINT), 0) << "or the text would not be printed";
  release_child();
}

// Half a plan would leave a device without a driver, and the write is about to complete.
TEST_F(VisibleWait, CtrlCDoesNotEndAWriteThatCompletesSoon) {
  tree.put("attribute", "old");
  sigset_t pending{};
  {
    const SignalsBlocked blocked(StopFlag::kSignals);
    ASSERT_EQ(::pthread_kill(::pthread_self(), SIGINT), 0);
    EXPECT_TRUE(apply({FileChange::Kind::Write, tree.root() / "attribute", "new"},
                      std::chrono::seconds(60)));
    ASSERT_EQ(::sigpending(&pending), 0);
    EXPECT_EQ(::sigismember(&pending, SIGINT), 1) << "it ends the command after the plan";
    int taken = 0;
    sigset_t only{};
    ::sigemptyset(&only);
    ::sigaddset(&only, SIGINT);
    ASSERT_EQ(::sigwait(&only, &taken), 0);
  }
  EXPECT_EQ(*read_file(tree.root() / "attribute"), "new\n");
}

}  // namespace
}  // namespace passthru::tools
