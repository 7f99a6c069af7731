// SPDX-License-Identifier: MIT
// Tests of files and directories that a crash, a link or another user must not spoil.
#include "base/small_file.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>

namespace passthru {
namespace {

namespace fs = std::filesystem;

class SmallFile : public testing::Test {
 protected:
  void SetUp() override {
    std::string name = (fs::temp_directory_path() / "passthru-files-XXXXXX").string();
    ASSERT_NE(::mkdtemp(name.data()), nullptr);
    root = name;
  }
  void TearDown() override { fs::remove_all(root); }
  unsigned mode_of(const fs::path& path) const {
    struct stat status = {};
    return ::lstat(path.c_str(), &status) == 0 ? status.st_mode & 07777U : 0;
  }

  fs::path root;
};

TEST_F(SmallFile, AFileIsReplacedAsAWhole) {
  ASSERT_TRUE(replace_file(root / "a", "a long content\n"));
  ASSERT_TRUE(replace_file(root / "a", "short\n"));
  EXPECT_EQ(*read_file(root / "a"), "short\n");
  EXPECT_EQ(names_in(root)->size(), 1U) << "the temporary file is gone";
}

TEST_F(SmallFile, ALinkIsReplacedAndItsTargetStays) {
  std::ofstream(root / "target") << "untouched";
  fs::create_symlink(root / "target", root / "a");
  fs::create_symlink(root / "target", root / ".a.new");  // where the temporary file will be
  ASSERT_TRUE(replace_file(root / "a", "new\n"));
  EXPECT_EQ(*read_file(root / "target"), "untouched");
  EXPECT_FALSE(fs::is_symlink(root / "a"));
}

TEST_F(SmallFile, AFileLeftByACrashIsNoObstacle) {
  std::ofstream(root / ".a.new") << "half";
  ASSERT_TRUE(replace_file(root / "a", "new\n"));
  EXPECT_EQ(*read_file(root / "a"), "new\n");
  EXPECT_FALSE(fs::exists(root / ".a.new"));
}

TEST_F(SmallFile, AFileThatCannotBeReplacedStaysAndIsNamed) {
  fs::create_directory(root / "a");
  const auto done = replace_file(root / "a", "new\n");
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().operation, "write " + (root / "a").string());
  EXPECT_FALSE(fs::exists(root / ".a.new"));
}

TEST_F(SmallFile, AWriteDoesNotCreateAFile) {
  EXPECT_EQ(write_file(root / "a", "x").error().code, ENOENT);
  EXPECT_FALSE(fs::exists(root / "a"));
}

TEST_F(SmallFile, OnlyTheOwnerCanWriteToANewDirectory) {
  const mode_t before = ::umask(0);
  const auto made = make_directory(root / "b/c");
  ::umask(before);
  ASSERT_TRUE(made) << made.error().message();
  EXPECT_EQ(mode_of(root / "b"), 0755U);
  EXPECT_EQ(mode_of(root / "b/c"), 0755U);
  EXPECT_TRUE(make_directory(root / "b/c")) << "it exists";
}

TEST_F(SmallFile, AUmaskTakesNothingFromTheModes) {
  const mode_t before = ::umask(0777);
  const auto made = make_directory(root / "b/c");
  const auto written = replace_file(root / "a", "text\n");
  ::umask(before);
  ASSERT_TRUE(made) << made.error().message();
  ASSERT_TRUE(written) << written.error().message();
  EXPECT_EQ(mode_of(root / "b"), 0755U);
  EXPECT_EQ(mode_of(root / "b/c"), 0755U);
  EXPECT_EQ(mode_of(root / "a"), 0644U);
}

TEST_F(SmallFile, ADirectoryThatOthersCanWriteToIsRefused) {
  ASSERT_TRUE(make_directory(root / "b"));
  fs::permissions(root / "b", fs::perms(0777));
  const auto made = make_directory(root / "b");
  ASSERT_FALSE(made);
  EXPECT_EQ(made.error().code, EPERM);
  EXPECT_EQ(made.error().message(),
            "cannot create " + (root / "b").string() +
                ": it exists, and other users can write to it. Take that from them: 'chmod go-w " +
                (root / "b").string() + "'");
  fs::permissions(root / "b", fs::perms(0755));  // as the hint says
  EXPECT_TRUE(make_directory(root / "b"));
}

// chmod would not help here, so the hint is another.
TEST_F(SmallFile, ALinkInPlaceOfADirectoryIsRefused) {
  ASSERT_TRUE(make_directory(root / "elsewhere"));
  fs::create_directory_symlink(root / "elsewhere", root / "b");
  const auto made = make_directory(root / "b");
  ASSERT_FALSE(made);
  EXPECT_EQ(made.error().message(), "cannot create " + (root / "b").string() +
                                        ": it exists, and is not a directory of this user. Remove "
                                        "it: 'rm -r " +
                                        (root / "b").string() + "'");
  fs::remove_all(root / "b");
  EXPECT_TRUE(make_directory(root / "b"));
}

TEST_F(SmallFile, ADirectoryOfAnotherUserIsRefused) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root, to give the directory away";
  ASSERT_TRUE(make_directory(root / "b"));
  ASSERT_EQ(::chown((root / "b").c_str(), 65534, 65534), 0);
  EXPECT_EQ(make_directory(root / "b").error().cause,
            "it exists, and is not a directory of this user");
}

}  // namespace
}  // namespace passthru
