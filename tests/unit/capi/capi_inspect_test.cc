// SPDX-License-Identifier: MIT
// Tests of the inspect socket through the C interface: driven by a loop of the VMM, and its access.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/fd.h"
#include "tests/unit/capi/capi_fixture.h"

namespace passthru {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

class CapiInspect : public CapiDevice {
 protected:
  CapiInspect() { create(); }

  [[nodiscard]] int serve(uint32_t flags = PASSTHRU_INSPECT_OWN_LOOP) const {
    return passthru_domain_inspect_serve(domain, path.c_str(), flags);
  }
  [[nodiscard]] mode_t mode_of_socket() const {
    struct stat found = {};
    EXPECT_EQ(::stat(path.c_str(), &found), 0);
    return found.st_mode & 07777;
  }
  [[nodiscard]] Fd connect() const {
    Fd client(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path.copy(address.sun_path, sizeof address.sun_path - 1);
    EXPECT_EQ(::connect(client.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address),
              0);
    return client;
  }
  /// Sends a request, and runs the loop until its answer is complete.
  [[nodiscard]] std::string ask(const Fd& client, std::string_view request) const {
    const std::string line = std::string(request) + "\n";
    EXPECT_EQ(::send(client.get(), line.data(), line.size(), 0), static_cast<ssize_t>(line.size()));
    int fd = -1;
    EXPECT_EQ(passthru_domain_inspect_fd(domain, &fd), 0) << passthru_last_error();
    std::string answer;
    while (!answer.ends_with('\n')) {
      constexpr int kLongMs = 10'000;
      std::array<pollfd, 2> ready{pollfd{.fd = fd, .events = POLLIN, .revents = 0},
                                  pollfd{.fd = client.get(), .events = POLLIN, .revents = 0}};
      if (::poll(ready.data(), ready.size(), kLongMs) <= 0)
        return answer + " (the rest did not arrive)";
      if (ready[0].revents != 0) {
        EXPECT_EQ(passthru_domain_inspect_run(domain), 0);
      }
      std::array<char, 4096> bytes{};
      const ssize_t got = ::recv(client.get(), bytes.data(), bytes.size(), MSG_DONTWAIT);
      if (got > 0) answer.append(bytes.data(), static_cast<size_t>(got));
    }
    return answer;
  }

  const std::string path = ::testing::TempDir() + "capi_inspect." + std::to_string(::getpid());
};

TEST_F(CapiInspect, ALoopOfTheVmmAnswersAndKnowsDevicesThatComeAndGo) {
  constexpr const char* kListDevices = R"({"request":"list"})";
  ASSERT_EQ(serve(), 0) << passthru_last_error();
  const Fd client = connect();
  EXPECT_THAT(ask(client, kListDevices), Not(HasSubstr("0000:00:02.0")));
  passthru_device* device = open();
  EXPECT_THAT(ask(client, kListDevices), HasSubstr("0000:00:02.0"));
  EXPECT_EQ(passthru_device_close(device), 0);
  const std::string last = ask(client, kListDevices);
  EXPECT_THAT(last, Not(HasSubstr("0000:00:02.0")));
  EXPECT_THAT(last, HasSubstr("\"version\":1"));
}

TEST_F(CapiInspect, AThreadOfTheLibraryLeavesNothingToALoop) {
  int fd = -1;
  EXPECT_EQ(passthru_domain_inspect_fd(domain, &fd), -ENOENT) << "nothing is served yet";
  ASSERT_EQ(serve(0), 0) << passthru_last_error();
  EXPECT_EQ(passthru_domain_inspect_fd(domain, &fd), -ENOENT);
  EXPECT_EQ(fd, -1);
  EXPECT_EQ(passthru_domain_inspect_run(domain), -ENOENT);
  EXPECT_EQ(serve(), -EBUSY);
}

TEST_F(CapiInspect, OnlyTheUserMayConnectUnlessAGroupIsNamed) {
  ASSERT_EQ(serve(), 0) << passthru_last_error();
  EXPECT_EQ(mode_of_socket(), 0600U);
  EXPECT_EQ(passthru_domain_inspect_group(domain, ::getegid()), -EBUSY) << "it is served already";
  EXPECT_EQ(mode_of_socket(), 0600U);
}

/// Returns a group to which this process may give a file. If possible, it is not the group that a
/// file of this process has anyway.
gid_t another_group() {
  std::vector<gid_t> groups(1 << 16);
  groups.resize(static_cast<size_t>(
      std::max(::getgroups(static_cast<int>(groups.size()), groups.data()), 0)));
  if (::geteuid() == 0) groups.push_back(::getegid() + 1);
  std::erase(groups, ::getegid());
  return groups.empty() ? ::getegid() : groups.front();
}

TEST_F(CapiInspect, AGroupThatIsNamedMayConnect) {
  const gid_t group = another_group();
  EXPECT_EQ(passthru_domain_inspect_group(domain, UINT32_MAX), -EINVAL);
  ASSERT_EQ(passthru_domain_inspect_group(domain, group), 0) << passthru_last_error();
  ASSERT_EQ(serve(), 0) << passthru_last_error();
  EXPECT_EQ(mode_of_socket(), 0660U);
  struct stat found = {};
  ASSERT_EQ(::stat(path.c_str(), &found), 0);
  EXPECT_EQ(found.st_gid, group);
}

TEST_F(CapiInspect, ASocketThatCannotBeServedLeavesTheDomainAsItWas) {
  EXPECT_EQ(serve(1U << 31), -EINVAL) << "unknown flag";
  EXPECT_EQ(passthru_domain_inspect_serve(domain, std::string(108, 'x').c_str(), 0), -ENAMETOOLONG);
  EXPECT_EQ(passthru_domain_inspect_serve(domain, "/dev/null", 0), -EEXIST);
  EXPECT_EQ(passthru_domain_inspect_serve(domain, (path + "/socket").c_str(), 0), -ENOENT);
  EXPECT_STRNE(passthru_last_error(), "");
  EXPECT_EQ(serve(), 0) << passthru_last_error();
}

}  // namespace
}  // namespace passthru
