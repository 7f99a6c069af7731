// SPDX-License-Identifier: MIT
// Tests of files that the user names for output: a failure leaves what was there.
#include "tools/output_file.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <thread>

#include "base/fd.h"
#include "base/small_file.h"

namespace passthru::tools {
namespace {

namespace fs = std::filesystem;
using Existing = OutputFile::Existing;
using ::testing::HasSubstr;

class OutputFileTest : public testing::Test {
 protected:
  void SetUp() override {
    std::array<char, 32> name{"/tmp/passthru-XXXXXX"};
    ASSERT_NE(::mkdtemp(name.data()), nullptr);
    directory = name.data();
    path = directory / "out";
  }
  void TearDown() override { fs::remove_all(directory); }
  static Result<void> write(const fs::path& file, Existing existing) {
    auto out = PASSTHRU_TRY(OutputFile::create(file.string(), existing));
    PASSTHRU_TRY(out.write("new "));
    PASSTHRU_TRY(out.write("content"));
    return out.commit();
  }
  [[nodiscard]] size_t files() const { return names_in(directory)->size(); }

  fs::path directory;
  fs::path path;
};

TEST_F(OutputFileTest, AFileHasItsNameWhenItIsWhole) {
  {
    auto out = OutputFile::create(path.string(), Existing::Keep);
    ASSERT_TRUE(out) << out.error().message();
    ASSERT_TRUE(out->write("half"));
    EXPECT_FALSE(fs::exists(path));
  }
  EXPECT_EQ(files(), 0U) << "nothing is left of a file that was dropped";
  ASSERT_TRUE(write(path, Existing::Keep));
  EXPECT_EQ(*read_file(path), "new content");
  EXPECT_EQ(files(), 1U);
}

TEST_F(OutputFileTest, AnExistingFileIsReplacedOnlyByForceAndOnlyAsAWhole) {
  std::ofstream(path) << "older";
  const auto refused = write(path, Existing::Keep);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().message(), "cannot write " + path.string() +
                                           ": File exists. Name another file, or replace it with "
                                           "--force");
  { ASSERT_TRUE(OutputFile::create(path.string(), Existing::Replace)->write("half")); }
  EXPECT_EQ(*read_file(path), "older");
  ASSERT_TRUE(write(path, Existing::Replace));
  EXPECT_EQ(*read_file(path), "new content");
  EXPECT_EQ(files(), 1U);
}

TEST_F(OutputFileTest, AFileThatAppearsMeanwhileStays) {
  auto out = OutputFile::create(path.string(), Existing::Keep);
  ASSERT_TRUE(out);
  ASSERT_TRUE(out->write("new"));
  std::ofstream(path) << "other";
  const auto refused = out->commit();
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, EEXIST);
  EXPECT_EQ(*read_file(path), "other");
}

TEST_F(OutputFileTest, ALinkIsNotFollowed) {
  std::ofstream(directory / "target") << "untouched";
  fs::create_symlink("target", path);
  fs::create_symlink("nothing", directory / "dangling");
  for (const Existing existing : {Existing::Keep, Existing::Replace}) {
    for (const fs::path& link : {path, directory / "dangling"}) {
      const auto refused = write(link, existing);
      ASSERT_FALSE(refused);
      EXPECT_EQ(refused.error().code, ELOOP);
      EXPECT_THAT(refused.error().message(), HasSubstr("it is a symbolic link"));
    }
  }
  EXPECT_EQ(*read_file(directory / "target"), "untouched");
  EXPECT_FALSE(fs::exists(directory / "nothing"));
}

TEST_F(OutputFileTest, AStreamIsWrittenDirectlyAlsoThroughALink) {
  fs::create_symlink("/dev/null", path);
  EXPECT_TRUE(write(path, Existing::Keep));
  EXPECT_TRUE(fs::is_symlink(path));
  const auto full = write("/dev/full", Existing::Keep);
  ASSERT_FALSE(full);
  EXPECT_EQ(full.error().message(),
            "cannot write /dev/full: No space left on device. Name another file");
}

// Another process replaces the stream by a link between the check and the open: the test wins this
// race only in some of the rounds.
TEST_F(OutputFileTest, AFileThatTakesThePlaceOfAStreamIsNotWritten) {
  constexpr unsigned kRounds = 20'000;
  const fs::path target = directory / "target";
  const fs::path link = directory / "link";
  std::ofstream(target) << "untouched";
  fs::create_symlink("target", link);
  ASSERT_EQ(::mkfifo(path.c_str(), 0600), 0);
  const Fd reader(::open(path.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC));
  ASSERT_TRUE(reader);
  std::atomic<bool> done = false;
  std::thread other([&] {
    while (!done) {
      ::renameat2(AT_FDCWD, path.c_str(), AT_FDCWD, link.c_str(), RENAME_EXCHANGE);
    }
  });
  unsigned arrived = 0;
  std::array<char, 64> text{};
  for (unsigned round = 0; round < kRounds; ++round) {
    if (!write(path, Existing::Keep)) continue;
    arrived += ::read(reader.get(), text.data(), text.size()) > 0 ? 1 : 0;
  }
  done = true;
  other.join();
  EXPECT_GT(arrived, 0U) << "the stream was there in some rounds";
  EXPECT_EQ(*read_file(target), "untouched");
}

TEST_F(OutputFileTest, WhatIsNoFileIsRefusedAndStays) {
  fs::create_directory(directory / "directory");
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  (directory / "socket").string().copy(address.sun_path, sizeof(address.sun_path) - 1);
  const Fd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  ASSERT_EQ(::bind(socket.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
  EXPECT_EQ(write(directory / "directory", Existing::Replace).error().code, EISDIR);
  EXPECT_EQ(write(directory / "socket", Existing::Replace).error().code, EINVAL);
  EXPECT_EQ(write(directory / "no/such", Existing::Keep).error().code, ENOENT);
  EXPECT_EQ(files(), 2U);
}

TEST_F(OutputFileTest, OnlyTheUserCanWriteToTheFileWhateverTheUmaskIs) {
  const mode_t before = ::umask(0);
  const auto written = write(path, Existing::Keep);
  ::umask(before);
  ASSERT_TRUE(written) << written.error().message();
  struct stat found = {};
  ASSERT_EQ(::stat(path.c_str(), &found), 0);
  EXPECT_EQ(found.st_mode & 0777, 0644U);
}

}  // namespace
}  // namespace passthru::tools
