// SPDX-License-Identifier: MIT
#include "inspect/inspect_socket.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <string>
#include <utility>

#include "base/small_file.h"

namespace passthru {
namespace {

namespace fs = std::filesystem;

Result<sockaddr_un> address_of(const fs::path& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const std::string& text = path.native();
  if (text.size() >= sizeof(address.sun_path)) {
    return fail(
        ENAMETOOLONG, "create the inspect socket " + text,
        fmt::format("the path of a socket has at most {} bytes", sizeof(address.sun_path) - 1));
  }
  std::memcpy(address.sun_path, text.c_str(), text.size());
  return address;
}

// Names an open file for calls that take a path, and refuse a descriptor of O_PATH.
std::string link_of(const Fd& file) {
  return fmt::format("/proc/self/fd/{}", file.get());
}

// The place of a socket. The directory is opened once: a user that replaces a part of the path
// meanwhile by a link does not make this process change or remove a file elsewhere.
class SocketPlace {
 public:
  explicit SocketPlace(const fs::path& path)
      : path_(path),
        name_(path.filename()),
        directory_(::open(path.has_parent_path() ? path.parent_path().c_str() : ".",
                          O_PATH | O_DIRECTORY | O_CLOEXEC)) {}

  // Removes a socket that no process serves any more: a killed process leaves it.
  Result<void> remove_left_behind() const;
  // Changes the socket that is there now, and nothing that takes its place. The umask limits the
  // mode that a socket gets from bind(2).
  Result<void> give_access(const InspectAccess& access) const;
  void remove() const { ::unlinkat(directory_.get(), name_.c_str(), 0); }

 private:
  // Returns no descriptor if there is no file, or no directory.
  [[nodiscard]] Fd open() const {
    return Fd(::openat(directory_.get(), name_.c_str(), O_PATH | O_NOFOLLOW | O_CLOEXEC));
  }

  const fs::path path_;
  const std::string name_;
  const Fd directory_;
};

Result<void> SocketPlace::remove_left_behind() const {
  const Fd socket = open();
  struct stat found = {};
  if (!socket || ::fstat(socket.get(), &found) != 0) return {};  // bind(2) reports what is wrong
  if (!S_ISSOCK(found.st_mode)) {
    return fail(EEXIST, "create the inspect socket " + path_.string(),
                "the path exists and is not a socket");
  }
  const Fd probe(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!probe) return fail(errno, "create a socket");
  const sockaddr_un address = PASSTHRU_TRY(address_of(link_of(socket)));
  const auto* target = reinterpret_cast<const sockaddr*>(&address);
  const int refusal = ::connect(probe.get(), target, sizeof(address)) == 0 ? 0 : errno;
  if (refusal == ECONNREFUSED) {
    remove();
    return {};
  }
  return fail(EADDRINUSE, "create the inspect socket " + path_.string(),
              refusal == EACCES ? "the path exists, and is a socket of another user"
                                : "another process serves this socket");
}

Result<void> SocketPlace::give_access(const InspectAccess& access) const {
  const std::string operation = "set the access to the inspect socket " + path_.string();
  const Fd socket = open();
  struct stat made = {};
  if (!socket || ::fstat(socket.get(), &made) != 0) return fail(errno, operation);
  if (!S_ISSOCK(made.st_mode)) return fail(EEXIST, operation, "another process has replaced it");
  if (access.group &&
      ::fchownat(socket.get(), "", static_cast<uid_t>(-1), *access.group, AT_EMPTY_PATH) != 0) {
    return tl::unexpected(Error{.code = errno, .operation = operation}.advise(
        "Name a group that this user is a member of"));
  }
  if ((made.st_mode & 07777) == access.mode) return {};
  if (::chmod(link_of(socket).c_str(), access.mode) != 0) return fail(errno, operation);
  return {};
}

}  // namespace

fs::path inspect_directory() {
  if (::geteuid() == 0) return "/run/passthru/vm";
  const char* const runtime = std::getenv("XDG_RUNTIME_DIR");
  if (runtime == nullptr || *runtime == '\0') return {};
  return fs::path(runtime) / "passthru/vm";
}

Result<fs::path> inspect_path_in(const fs::path& directory) {
  // A user that can write to either could put another socket there.
  PASSTHRU_TRY(make_directory(directory.parent_path()));
  PASSTHRU_TRY(make_directory(directory));
  return directory / fmt::format("{}.sock", ::getpid());
}

Result<fs::path> default_inspect_path() {
  const fs::path directory = inspect_directory();
  if (directory.empty()) {
    return fail(ENOENT, "create the inspect socket",
                "XDG_RUNTIME_DIR is not set. Name a path for the socket");
  }
  return inspect_path_in(directory);
}

Result<Fd> listen_at(const fs::path& path, int backlog, InspectAccess access) {
  const sockaddr_un address = PASSTHRU_TRY(address_of(path));
  const SocketPlace place(path);
  PASSTHRU_TRY(place.remove_left_behind());
  Fd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd) return fail(errno, "create a socket");
  // Before the socket has a name: no client can connect while it has another mode.
  if (::fchmod(fd.get(), 0600) != 0) return fail(errno, "set the mode of the inspect socket");
  const auto* name = reinterpret_cast<const sockaddr*>(&address);
  if (::bind(fd.get(), name, sizeof(address)) != 0) {
    return fail(errno, "create the inspect socket " + path.string());
  }
  Result<void> done = place.give_access(access);
  // Clients can connect from here on.
  if (done && ::listen(fd.get(), backlog) != 0) done = fail(errno, "listen on the inspect socket");
  if (done) return fd;
  place.remove();
  return tl::unexpected(std::move(done).error());
}

}  // namespace passthru
