// SPDX-License-Identifier: MIT
// Owns the socket on which the kernel tells of PCI functions that come, go and change, and the
// reading of what it says. Only the initial network namespace hears all of it.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/fd.h"
#include "base/result.h"
#include "pci/bdf.h"

namespace passthru {

/// Something happened to a PCI function.
struct Uevent {
  /// "add", "remove", "change", "move", "online", "offline", "bind" or "unbind" (to a driver).
  std::string action{};
  Bdf bdf{};
  bool operator==(const Uevent&) const = default;
};

/// Pure. A datagram as the kernel sends it (lib/kobject_uevent.c): "ACTION@DEVPATH", then
/// "KEY=VALUE" each, every one ended by a NUL. `sender`: the netlink port it is from. Nothing where
/// it is not from the kernel (0), not of that form, or not about a PCI function.
std::optional<Uevent> parse_uevent(std::string_view datagram, uint32_t sender);

/// A listener. Not thread-safe.
class Uevents {
 public:
  /// From now on what happens is kept for `receive`. No privilege is needed.
  static Result<Uevents> open();

  /// Readable when there is something to `receive`.
  [[nodiscard]] int fd() const { return socket_.get(); }

  /// The next event about a PCI function; nothing where none has come yet. Does not wait. ENOBUFS:
  /// more came than was kept, and some is lost; the next call goes on.
  Result<std::optional<Uevent>> receive();

 private:
  explicit Uevents(Fd socket) : socket_(std::move(socket)) {}
  Fd socket_;
};

}  // namespace passthru
