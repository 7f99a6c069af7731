// SPDX-License-Identifier: MIT
// Tests of applying planned changes to real files: the writes, and the errors.
#include "prepare/change_plan.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include "base/small_file.h"
#include "tests/fakes/sysfs_tree.h"

namespace passthru {
namespace {

using Kind = FileChange::Kind;
constexpr uid_t kNobody = 65534;

TEST(ChangePlan, WritesALineMakesAFileAndRemovesOne) {
  SysfsTree tree;
  tree.put("attribute", "old");
  const auto file = tree.root() / "run/passthru/made";
  ASSERT_TRUE(carry_out({{.change = {Kind::Write, tree.root() / "attribute", "new"}},
                         {.change = {Kind::Create, file, "two\nlines\n"}}}));
  EXPECT_EQ(*read_file(tree.root() / "attribute"), "new\n");
  EXPECT_EQ(*read_file(file), "two\nlines\n");
  ASSERT_TRUE(carry_out({{.change = {Kind::Remove, file, {}}}}));
  EXPECT_EQ(read_file(file).error().code, ENOENT);
}

TEST(ChangePlan, AnAttributeThatIsNotThereIsNotMade) {
  SysfsTree tree;
  const auto done = carry_out({{.change = {Kind::Write, tree.root() / "bind", "x"}}});
  EXPECT_EQ(done.error().code, ENOENT);
  EXPECT_FALSE(std::filesystem::exists(tree.root() / "bind"));
}

TEST(ChangePlan, TheErrnoOfTheStoreItselfIsReported) {
  SysfsTree tree;
  std::filesystem::create_symlink("/dev/full", tree.root() / "bind");
  const auto done =
      carry_out({{.change = {Kind::Write, tree.root() / "bind", "x"}, .device = "0000:00:02.0"}});
  EXPECT_EQ(done.error().message(), "0000:00:02.0: cannot write " + tree.root().string() +
                                        "/bind: No space left on device");
}

// Its undo would remove the file.
TEST(ChangePlan, AFileThatCannotBeReadIsNotReplaced) {
  const SysfsTree tree;
  const auto change = content_change(tree.root(), "text\n", "0000:00:02.0");
  ASSERT_FALSE(change);
  EXPECT_EQ(change.error().message(),
            "0000:00:02.0: cannot read " + tree.root().string() + ": Is a directory");
}

TEST(ChangePlan, WithoutPermissionTheAdviceIsRoot) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root, to drop root for a moment";
  SysfsTree tree;
  tree.put("unbind", "");
  std::filesystem::permissions(tree.root() / "unbind", std::filesystem::perms(0200));
  ASSERT_EQ(::seteuid(kNobody), 0);
  const auto done =
      carry_out({{.change = {Kind::Write, tree.root() / "unbind", "x"}, .device = "0000:00:02.0"}});
  ASSERT_EQ(::seteuid(0), 0);
  EXPECT_EQ(done.error().code, EACCES);
  EXPECT_EQ(done.error().message(),
            "0000:00:02.0: cannot write " + tree.root().string() +
                "/unbind: Permission denied. This needs root: run it with sudo");
}

TEST(ChangePlan, ARefusalOfRootIsNotExplainedByMissingRoot) {
  const auto done =
      carry_out({{.change = {Kind::Write, "unbind", "x"}, .device = "0000:00:02.0"}},
                [](const FileChange&) -> Result<void> { return fail(EPERM, "write unbind"); });
  EXPECT_EQ(done.error().advice, ::geteuid() == 0 ? "" : "This needs root: run it with sudo");
}

TEST(ChangePlan, WhatWasDoneIsUndoneInReverse) {
  std::vector<std::string> done;
  const auto step = [](const char* value) {
    return PlannedChange{.change = {Kind::Write, "f", value},
                         .undo = {FileChange{Kind::Write, "f", std::string("not ") + value}}};
  };
  const auto result =
      carry_out({step("a"), step("b"), step("c"), step("d")}, [&](const FileChange& change) {
        done.push_back(change.value);
        return change.value == "c" ? Result<void>(fail(EIO, "write f")) : Result<void>();
      });
  EXPECT_EQ(result.error().code, EIO);
  EXPECT_EQ(done, (std::vector<std::string>{"a", "b", "c", "not b", "not a"}));
}

TEST(ChangePlan, TheShellCommandsOfTextWithQuotesMakeTheSameText) {
  const FileChange change{Kind::Create, "/etc/r/x", "it's 100%\nA==\"b\\n\"\n"};
  EXPECT_EQ(change.str(),
            "mkdir -p /etc/r && printf '%s\\n' 'it'\\''s 100%' 'A==\"b\\n\"' > /etc/r/x");
}

// The undo would wait for the same lock in the kernel.
TEST(ChangePlan, WhatTheKernelMayStillCompleteIsNotUndone) {
  std::vector<std::string> done;
  const auto step = [](const char* value) {
    return PlannedChange{.change = {Kind::Write, "/f", value},
                         .undo = {FileChange{Kind::Write, "/f", "undo"}},
                         .device = "0000:00:02.0"};
  };
  const auto result = carry_out({step("a"), step("b"), step("c")}, [&](const FileChange& change) {
    done.push_back(change.value);
    return change.value == "b" ? Result<void>(fail(ECANCELED, "write /f")) : Result<void>();
  });
  EXPECT_EQ(done, (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(result.error().message(),
            "0000:00:02.0: cannot write /f: stopped while the kernel was working on it, and it may "
            "still complete. Made before: 'echo a > /f'. Not made: 'echo c > /f'. When the kernel "
            "is done, 'passthru bind 0000:00:02.0' binds from this state, and 'passthru unbind "
            "0000:00:02.0' gives back");
}

TEST(ChangePlan, AnUndoThatTheUserStopsIsNotContinued) {
  std::vector<std::string> done;
  const auto step = [](const char* value) {
    return PlannedChange{.change = {Kind::Write, "/f", value},
                         .undo = {FileChange{Kind::Write, "/f", std::string("not ") + value}},
                         .device = "0000:00:02.0"};
  };
  const auto result = carry_out({step("a"), step("b"), step("c")}, [&](const FileChange& change) {
    done.push_back(change.value);
    if (change.value == "c") return Result<void>(fail(EIO, "write /f"));
    if (change.value == "not b") return Result<void>(fail(ECANCELED, "write /f"));
    return Result<void>();
  });
  EXPECT_EQ(done, (std::vector<std::string>{"a", "b", "c", "not b"}));
  EXPECT_EQ(result.error().code, EIO);
  EXPECT_EQ(result.error().cause,
            "Input/output error; not undone: 'echo not b > /f': Operation canceled; not undone: "
            "'echo not a > /f': Operation canceled");
}

}  // namespace
}  // namespace passthru
