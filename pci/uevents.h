// SPDX-License-Identifier: MIT
// The kernel's events about PCI functions that come, go and change. Only the initial network
// namespace receives all of them.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/fd.h"
#include "base/result.h"
#include "pci/bdf.h"

namespace passthru {

/// An event of a PCI function.
struct Uevent {
  /// "add", "remove", "change", "move", "online", "offline", "bind" or "unbind" (to a driver).
  std::string action{};
  Bdf bdf{};
  bool operator==(const Uevent&) const = default;
};

/// Parses a datagram of the kernel (lib/kobject_uevent.c): "ACTION@DEVPATH", then "KEY=VALUE"
/// strings, each ended by a NUL. Pure. `sender` is the netlink port of the sender: any process may
/// send to the socket. Returns nullopt in these cases:
/// - The sender is not the kernel (port 0).
/// - The datagram has another form.
/// - The event is not about a PCI function.
std::optional<Uevent> parse_uevent(std::string_view datagram, uint32_t sender);

/// A listener. Not thread-safe.
class Uevents {
 public:
  /// Starts to buffer events for `receive`. Needs no privilege.
  static Result<Uevents> open();

  /// Readable when `receive` has an event.
  [[nodiscard]] int fd() const { return socket_.get(); }

  /// Returns the next event about a PCI function; nullopt if no event is waiting. Does not block.
  ///
  /// Errors:
  /// - ENOBUFS: the buffer overflowed and some events are lost. The next call continues.
  Result<std::optional<Uevent>> receive();

 private:
  explicit Uevents(Fd socket) : socket_(std::move(socket)) {}
  Fd socket_;
};

}  // namespace passthru
