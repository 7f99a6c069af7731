// SPDX-License-Identifier: MIT
#include "pci/uevents.h"

#include <linux/netlink.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>

namespace passthru {
namespace {

constexpr uint32_t kKernel = 0;       // a process never has this port
constexpr uint32_t kKernelGroup = 1;  // 2 is udev's
// The kernel limits the text after the first string to 2,048 bytes (UEVENT_BUFFER_SIZE).
constexpr size_t kMaxDatagram = 8192;
// Unplugging a switch removes all its devices at once.
constexpr int kKept = 1 << 20;

constexpr std::array<std::string_view, 8> kActions = {"add",    "remove",  "change", "move",
                                                      "online", "offline", "bind",   "unbind"};

/// Takes the first NUL-terminated string; nullopt if no NUL follows.
std::optional<std::string_view> take_string(std::string_view& rest) {
  const size_t end = rest.find('\0');
  if (end == std::string_view::npos) return std::nullopt;
  const std::string_view string = rest.substr(0, end);
  rest.remove_prefix(end + 1);
  return string;
}

struct Fields {
  std::string_view action;
  std::string_view devpath;
  std::string_view subsystem;
};

void keep(Fields& fields, std::string_view string) {
  const size_t equals = string.find('=');
  if (equals == std::string_view::npos) return;
  const std::string_view key = string.substr(0, equals);
  const std::string_view value = string.substr(equals + 1);
  if (key == "ACTION") fields.action = value;
  if (key == "DEVPATH") fields.devpath = value;
  if (key == "SUBSYSTEM") fields.subsystem = value;
}

}  // namespace

std::optional<Uevent> parse_uevent(std::string_view datagram, uint32_t sender) {
  if (sender != kKernel) return std::nullopt;
  const auto header = take_string(datagram);
  if (!header) return std::nullopt;
  Fields fields;
  while (!datagram.empty()) {
    const auto string = take_string(datagram);
    if (!string) return std::nullopt;
    keep(fields, *string);
  }
  const bool known = std::find(kActions.begin(), kActions.end(), fields.action) != kActions.end();
  if (!known || *header != std::string(fields.action) + "@" + std::string(fields.devpath)) {
    return std::nullopt;
  }
  // Other subsystems lie below a function: its driver, its MSI vectors, the services of a port.
  if (fields.subsystem != "pci") return std::nullopt;
  const auto bdf = Bdf::parse(fields.devpath.substr(fields.devpath.rfind('/') + 1));
  if (!bdf) return std::nullopt;
  return Uevent{.action = std::string(fields.action), .bdf = *bdf};
}

Result<Uevents> Uevents::open() {
  Fd socket(
      ::socket(AF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_KOBJECT_UEVENT));
  if (!socket) return fail(errno, "listen to the kernel's device events");
  // If the limit is lower, the kernel buffers less and reports a loss (ENOBUFS).
  ::setsockopt(socket.get(), SOL_SOCKET, SO_RCVBUF, &kKept, sizeof kKept);
  sockaddr_nl address{};
  address.nl_family = AF_NETLINK;
  address.nl_groups = kKernelGroup;
  if (::bind(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    return fail(errno, "listen to the kernel's device events");
  }
  return Uevents(std::move(socket));
}

Result<std::optional<Uevent>> Uevents::receive() {
  std::array<char, kMaxDatagram> buffer;
  while (true) {
    sockaddr_nl sender{};
    iovec place{.iov_base = buffer.data(), .iov_len = buffer.size()};
    msghdr message{};
    message.msg_name = &sender;
    message.msg_namelen = sizeof sender;
    message.msg_iov = &place;
    message.msg_iovlen = 1;
    const ssize_t size = ::recvmsg(socket_.get(), &message, 0);
    if (size < 0) {
      if (errno == EAGAIN) return std::optional<Uevent>();
      if (errno == EINTR) continue;
      return fail(errno, "receive the kernel's device events");
    }
    if (message.msg_namelen != sizeof sender || (message.msg_flags & MSG_TRUNC) != 0) continue;
    auto event =
        parse_uevent(std::string_view(buffer.data(), static_cast<size_t>(size)), sender.nl_pid);
    if (event) return event;
  }
}

}  // namespace passthru
