// SPDX-License-Identifier: MIT
// Tests of the kernel's own events and of forged events: root may send to any netlink socket.
#include "pci/uevents.h"

#include <gtest/gtest.h>
#include <linux/netlink.h>
#include <poll.h>
#include <sys/socket.h>

#include <string>

#include "base/small_file.h"
#include "pci/sysfs.h"

namespace passthru {
namespace {

using namespace std::string_literals;

/// Returns the listener's port, which anybody can read in /proc/net/netlink.
uint32_t port_of(const Uevents& events) {
  sockaddr_nl address{};
  socklen_t size = sizeof address;
  EXPECT_EQ(::getsockname(events.fd(), reinterpret_cast<sockaddr*>(&address), &size), 0);
  return address.nl_pid;
}

void forge(uint32_t port, const std::string& datagram) {
  const Fd socket(::socket(AF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC, NETLINK_KOBJECT_UEVENT));
  sockaddr_nl to{};
  to.nl_family = AF_NETLINK;
  to.nl_pid = port;
  ASSERT_EQ(::sendto(socket.get(), datagram.data(), datagram.size(), 0,
                     reinterpret_cast<const sockaddr*>(&to), sizeof to),
            static_cast<ssize_t>(datagram.size()));
}

std::optional<Uevent> next(Uevents& events) {
  for (int left = 100; left > 0; --left) {
    const auto event = events.receive();
    if (!event) ADD_FAILURE() << event.error().message();
    if (!event || *event) return event ? *event : std::nullopt;
    pollfd readable{.fd = events.fd(), .events = POLLIN, .revents = 0};
    ::poll(&readable, 1, 100);
  }
  return std::nullopt;
}

TEST(UeventsOfTheKernel, ArriveAndAForgersDoNot) {
  const Sysfs sysfs;
  const Bdf bdf = sysfs.functions()->front();
  auto events = Uevents::open();
  ASSERT_TRUE(events) << events.error().message();
  const std::string path = "/devices/" + bdf.str();
  ASSERT_NO_FATAL_FAILURE(forge(port_of(*events), "remove@"s + path + "\0ACTION=remove\0DEVPATH="s +
                                                      path + "\0SUBSYSTEM=pci\0"s));
  ASSERT_TRUE(write_file(sysfs.function_path(bdf) / "uevent", "change"));
  EXPECT_EQ(next(*events), (Uevent{.action = "change", .bdf = bdf}));
  EXPECT_EQ(*events->receive(), std::nullopt);
}

}  // namespace
}  // namespace passthru
