// SPDX-License-Identifier: MIT
// Tests of files and directories that a crash, a link or another user must not spoil.
#include "base/small_file.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstdlib>
#include <fstream>
#include <string>

#include "tests/fakes/interrupted_calls.h"

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

TEST_F(SmallFile, ALeftoverThatCannotBeRemovedIsNamed) {
  fs::create_directory(root / ".a.new");
  EXPECT_EQ(replace_file(root / "a", "new\n").error().message(),
            "cannot remove " + (root / ".a.new").string() + ": Is a directory");
}

TEST_F(SmallFile, ADirectoryWhoseModeCannotBeSetDoesNotStay) {
  const auto make = [this](size_t failing) {
    std::string said;
    run_interrupted(
        [&] {
          if (const auto made = make_directory(root / "b"); !made) said = made.error().message();
        },
        [this](const fs::path& file) { return file == root / "b"; }, {.at = failing, .code = EIO});
    return said;
  };
  EXPECT_EQ(make(1), "cannot create " + (root / "b").string() + ": Input/output error");
  EXPECT_FALSE(fs::exists(root / "b"));
  EXPECT_EQ(make(SIZE_MAX), "");
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

TEST(DirectoryFault, OnlyRootAndTheCallerMayReplaceFiles) {
  constexpr uid_t kUser = 1000;
  constexpr gid_t kGroup = 100;
  const struct {
    const char* what;
    mode_t mode;
    uid_t owner;
    gid_t group;
    DirectoryFault fault;
  } cases[] = {
      {"our own", S_IFDIR | 0755, kUser, kGroup, DirectoryFault::None},
      {"root's", S_IFDIR | 0755, 0, 0, DirectoryFault::None},
      {"our group can write", S_IFDIR | 0775, kUser, kGroup, DirectoryFault::None},
      {"another user's", S_IFDIR | 0755, 65534, kGroup, DirectoryFault::NotOurs},
      {"a file", S_IFREG | 0755, kUser, kGroup, DirectoryFault::NotOurs},
      {"a link", S_IFLNK | 0777, kUser, kGroup, DirectoryFault::NotOurs},
      {"another group can write", S_IFDIR | 0775, kUser, 65534, DirectoryFault::OthersCanWrite},
      {"all can write", S_IFDIR | 0757, kUser, kGroup, DirectoryFault::OthersCanWrite},
      {"all can write to root's", S_IFDIR | 01777, 0, 0, DirectoryFault::OthersCanWrite},
  };
  for (const auto& each : cases) {
    struct stat status = {};
    status.st_mode = each.mode;
    status.st_uid = each.owner;
    status.st_gid = each.group;
    EXPECT_EQ(directory_fault(status, kUser, kGroup), each.fault) << each.what;
  }
}

}  // namespace
}  // namespace passthru
