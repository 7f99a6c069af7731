// SPDX-License-Identifier: MIT
// Tests of a burst of kernel device events that exceeds the socket's buffer. The loss is reported,
// and later events are received. The test uses its own network namespace, so that no other process
// receives the events.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <linux/netlink.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <string>

#include "pci/uevents.h"
#include "tests/fakes/sysfs_tree.h"
#include "tests/unit/tools/live_output.h"
#include "tools/topology/topology_watch.h"

namespace passthru {
namespace {

/// A new network namespace for the calling thread, while this object lives.
class NetworkOfItsOwn {
 public:
  NetworkOfItsOwn() : entered_(before_ && ::unshare(CLONE_NEWNET) == 0) {}
  ~NetworkOfItsOwn() {
    if (entered_ && ::setns(before_.get(), CLONE_NEWNET) != 0)
      ADD_FAILURE() << "the thread cannot leave the namespace";
  }
  NetworkOfItsOwn(const NetworkOfItsOwn&) = delete;
  NetworkOfItsOwn& operator=(const NetworkOfItsOwn&) = delete;
  [[nodiscard]] bool entered() const { return entered_; }

 private:
  const Fd before_{::open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC)};
  const bool entered_;
};

class LostEvents : public testing::Test {
 protected:
  void SetUp() override {
    if (!network.entered()) GTEST_SKIP() << "needs root to create a network namespace";
  }
  /// Sends more to all listeners of the kernel's events than a socket buffer holds.
  static void flood() {
    const Fd sender(::socket(AF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC, NETLINK_KOBJECT_UEVENT));
    sockaddr_nl all{};
    all.nl_family = AF_NETLINK;
    all.nl_groups = 1;
    const std::string datagram(4096, 'x');
    // 4 MiB: a listener that asks for 1 MiB gets a buffer of at most 2 MiB (socket(7), SO_RCVBUF).
    for (unsigned sent = 0; sent < 1024; ++sent) {
      ASSERT_EQ(::sendto(sender.get(), datagram.data(), datagram.size(), 0,
                         reinterpret_cast<const sockaddr*>(&all), sizeof all),
                static_cast<ssize_t>(datagram.size()))
          << std::strerror(errno);
    }
  }

  NetworkOfItsOwn network;
};

TEST_F(LostEvents, AreAnErrorOnceAndTheNextCallGoesOn) {
  auto events = Uevents::open();
  ASSERT_TRUE(events) << events.error().message();
  ASSERT_NO_FATAL_FAILURE(flood());
  const auto lost = events->receive();
  ASSERT_FALSE(lost);
  EXPECT_EQ(lost.error().code, ENOBUFS);
  EXPECT_EQ(lost.error().message(),
            "cannot receive the kernel's device events: No buffer space available");
  const auto next = events->receive();
  ASSERT_TRUE(next) << next.error().message();
  EXPECT_EQ(*next, std::nullopt) << "a message from a process instead of the kernel is ignored";
}

struct Watched {
  const char* name;
  bool json;
  const char* lost;
};

/// `passthru topology --watch` in its own process, which the test can stop and continue.
class LostEventsOfAWatch : public LostEvents, public testing::WithParamInterface<Watched> {
 protected:
  void TearDown() override {
    if (process <= 0) return;
    ::kill(process, SIGKILL);
    ::waitpid(process, nullptr, 0);
  }
  pid_t process = 0;
};

TEST_P(LostEventsOfAWatch, AreToldAndTheWholeTreeIsShownAnew) {
  SysfsTree tree;
  tree.add({.bdf = "0000:00:02.0"});
  std::array<int, 2> ends{};
  ASSERT_EQ(::pipe2(ends.data(), O_CLOEXEC), 0);
  LiveOutput output{Fd(ends[0])};
  Fd writes(ends[1]);
  std::fflush(stdout);
  process = ::fork();
  if (process == 0) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    ::dup2(writes.get(), STDOUT_FILENO);
    ::_exit(tools::watch_topology(tree.sysfs(), GetParam().json));
  }
  writes.reset();
  ASSERT_TRUE(output.shows("0000:00:02.0")) << output.text();

  ASSERT_EQ(::kill(process, SIGSTOP), 0);
  int status = 0;
  ASSERT_EQ(::waitpid(process, &status, WUNTRACED), process);
  ASSERT_TRUE(WIFSTOPPED(status)) << "the process has ended: " << output.text();
  ASSERT_NO_FATAL_FAILURE(flood());
  ASSERT_EQ(::kill(process, SIGCONT), 0);
  EXPECT_TRUE(output.shows(GetParam().lost)) << output.text();
  EXPECT_TRUE(output.shows("0000:00:02.0")) << output.text();
}

INSTANTIATE_TEST_SUITE_P(
    Output, LostEventsOfAWatch,
    testing::Values(Watched{"Text", false, "\nsome events were lost; the tree is now:\n"},
                    Watched{"Json", true, "\n{\"version\":1,\"event\":\"lost\"}\n"}),
    [](const auto& each) { return std::string(each.param.name); });

}  // namespace
}  // namespace passthru
