// SPDX-License-Identifier: MIT
// Tests of paths at which no inspect socket can be made: the exact errors, and that existing files
// stay.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <thread>

#include "inspect/inspect_server.h"
#include "inspect/inspect_socket.h"
#include "tests/unit/device/assigned_fixture.h"

namespace passthru {
namespace {

namespace fs = std::filesystem;

constexpr size_t kMaxPath = 107;  // size of `sun_path` without the terminating zero

class InspectSocketPath : public VmFixture {
 protected:
  void SetUp() override {
    std::array<char, 32> name{"/tmp/passthru-XXXXXX"};
    ASSERT_NE(::mkdtemp(name.data()), nullptr);
    directory = name.data();
  }
  void TearDown() override { fs::remove_all(directory); }

  [[nodiscard]] fs::path of_length(size_t length) const {
    return directory / std::string(length - directory.native().size() - 1, 'a');
  }
  /// Returns the error of making a socket at this path.
  Error refusal(const fs::path& path) {
    const auto server = InspectServer::start(domain, {}, path);
    return server ? Error{.operation = "made a socket unexpectedly"} : server.error();
  }
  static std::string words(const fs::path& path, const std::string& why) {
    return "cannot create the inspect socket " + path.string() + ": " + why;
  }

  fs::path directory;
};

TEST_F(InspectSocketPath, OneByteMoreThanASocketTakesIsTooLong) {
  const fs::path longest = of_length(kMaxPath);
  const auto server = InspectServer::start(domain, {}, longest);
  ASSERT_TRUE(server) << server.error().message();
  EXPECT_TRUE(fs::is_socket(longest));

  const fs::path path = of_length(kMaxPath + 1);
  const Error refused = refusal(path);
  EXPECT_EQ(refused.code, ENAMETOOLONG);
  EXPECT_EQ(refused.message(), words(path, "the path of a socket has at most 107 bytes"));
}

TEST_F(InspectSocketPath, WhatIsNoSocketIsNotReplaced) {
  std::ofstream(directory / "file") << "mine";
  fs::create_directory(directory / "directory");
  fs::create_symlink("nothing", directory / "link");
  for (const char* name : {"file", "directory", "link"}) {
    const fs::path path = directory / name;
    const fs::file_type before = fs::symlink_status(path).type();
    const Error refused = refusal(path);
    EXPECT_EQ(refused.code, EEXIST) << name;
    EXPECT_EQ(refused.message(), words(path, "the path exists and is not a socket"));
    EXPECT_EQ(fs::symlink_status(path).type(), before) << name;
  }
  EXPECT_EQ(fs::file_size(directory / "file"), 4U);
}

TEST_F(InspectSocketPath, ALinkToASocketThatIsServedIsNoSocketEither) {
  const auto server = InspectServer::start(domain, {}, directory / "vm.sock");
  ASSERT_TRUE(server) << server.error().message();
  fs::create_symlink("vm.sock", directory / "link");
  EXPECT_EQ(refusal(directory / "link").message(),
            words(directory / "link", "the path exists and is not a socket"));
  EXPECT_EQ(refusal(directory / "vm.sock").message(),
            words(directory / "vm.sock", "another process serves this socket"));
}

// The test wins this race only in some of the rounds.
TEST_F(InspectSocketPath, ADirectoryThatIsReplacedMeanwhileLosesNoFile) {
  constexpr unsigned kRounds = 20'000;
  const fs::path place = directory / "place";
  const fs::path link = directory / "link";
  const fs::path other = directory / "other" / "vm.sock";
  fs::create_directory(place);
  fs::create_directory(other.parent_path());
  fs::create_symlink("other", link);
  std::ofstream(other) << "untouched";
  std::atomic<bool> done = false;
  std::thread replacing([&] {
    while (!done) ::renameat2(AT_FDCWD, place.c_str(), AT_FDCWD, link.c_str(), RENAME_EXCHANGE);
  });
  unsigned made = 0;
  for (unsigned round = 0; round < kRounds && fs::is_regular_file(other); ++round) {
    made += listen_at(place / "vm.sock", 1) ? 1 : 0;  // it ends at once, and leaves its socket
  }
  done = true;
  replacing.join();
  EXPECT_GT(made, 1U) << "a socket was left and replaced in some rounds";
  EXPECT_TRUE(fs::is_regular_file(other));
}

TEST_F(InspectSocketPath, ADirectoryThatIsNotThereIsNotMade) {
  const fs::path path = directory / "no/such.sock";
  EXPECT_EQ(refusal(path).message(), words(path, "No such file or directory"));
  EXPECT_FALSE(fs::exists(directory / "no"));
}

TEST_F(InspectSocketPath, OnlyTheOwnerCanWriteToTheDirectoryThatIsMade) {
  const mode_t before = ::umask(0);
  const auto path = inspect_path_in(directory / "passthru/vm");
  ::umask(before);
  ASSERT_TRUE(path) << path.error().message();
  EXPECT_EQ(path->parent_path(), directory / "passthru/vm");
  EXPECT_EQ(fs::status(path->parent_path()).permissions(), fs::perms(0755));
}

TEST_F(InspectSocketPath, ADirectoryThatOthersCanWriteToIsRefused) {
  ASSERT_TRUE(inspect_path_in(directory / "vm"));
  fs::permissions(directory / "vm", fs::perms(0777));
  const auto path = inspect_path_in(directory / "vm");
  ASSERT_FALSE(path);
  EXPECT_EQ(path.error().code, EPERM);
}

}  // namespace
}  // namespace passthru
