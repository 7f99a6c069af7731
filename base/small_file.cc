// SPDX-License-Identifier: MIT
// An attribute's store reports its errno from write(2); streams would lose it.
#include "base/small_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <system_error>

#include "base/fd.h"

namespace passthru {
namespace {

constexpr mode_t kDirectoryMode = 0755;
constexpr mode_t kFileMode = 0644;

Result<void> write_at_once(int fd, std::string_view text, const std::string& operation) {
  const ssize_t n = ::write(fd, text.data(), text.size());
  if (n < 0) return fail(errno, operation);
  if (static_cast<size_t>(n) != text.size())
    return fail(EIO, operation, "the kernel accepted only a part of the text");
  return {};
}

Result<void> check_directory(const std::filesystem::path& directory, const struct stat& status,
                             const std::string& operation) {
  const Error refused{.code = EPERM, .operation = operation};
  switch (directory_fault(status, ::geteuid(), ::getegid())) {
    case DirectoryFault::NotOurs:
      return tl::unexpected(Error(refused)
                                .because("it exists, and is not a directory of this user")
                                .advise("Remove it: 'rm -r " + directory.string() + "'"));
    case DirectoryFault::OthersCanWrite:
      return tl::unexpected(
          Error(refused)
              .because("it exists, and other users can write to it")
              .advise("Take that from them: 'chmod go-w " + directory.string() + "'"));
    case DirectoryFault::None:
      break;
  }
  return {};
}

}  // namespace

Result<std::string> read_file(const std::filesystem::path& file, size_t limit) {
  const std::string operation = "read " + file.string();
  const Fd fd(::open(file.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd) return fail(errno, operation);
  std::string text(limit, '\0');
  size_t size = 0;
  while (size < limit) {
    const ssize_t n = ::read(fd.get(), text.data() + size, limit - size);
    if (n < 0) return fail(errno, operation);
    if (n == 0) break;
    size += static_cast<size_t>(n);
  }
  text.resize(size);
  return text;
}

Result<void> write_file(const std::filesystem::path& file, std::string_view text) {
  const std::string operation = "write " + file.string();
  const Fd fd(::open(file.c_str(), O_WRONLY | O_CLOEXEC));
  if (!fd) return fail(errno, operation);
  return write_at_once(fd.get(), text, operation);
}

// The name of the temporary file begins with a dot and has no known ending, so that udev and other
// readers of the directory skip a file that a crash left behind.
Result<void> replace_file(const std::filesystem::path& file, std::string_view text) {
  const std::string operation = "write " + file.string();
  const std::filesystem::path fresh =
      file.parent_path() / ("." + file.filename().string() + ".new");
  const bool no_leftover = ::unlink(fresh.c_str()) == 0 || errno == ENOENT;  // of a crash
  if (!no_leftover) return fail(errno, "remove " + fresh.string());
  constexpr int kFlags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC;
  const Fd fd(::open(fresh.c_str(), kFlags, kFileMode));
  if (!fd) return fail(errno, operation);
  Result<void> done = write_at_once(fd.get(), text, operation);
  if (done && ::fchmod(fd.get(), kFileMode) != 0) done = fail(errno, operation);
  if (done && ::fsync(fd.get()) != 0) done = fail(errno, operation);
  if (done && ::rename(fresh.c_str(), file.c_str()) != 0) done = fail(errno, operation);
  if (!done) ::unlink(fresh.c_str());
  return done;
}

Result<void> make_directory(const std::filesystem::path& directory) {
  const std::string operation = "create " + directory.string();
  std::filesystem::path made;
  for (const std::filesystem::path& part : directory) {
    made /= part;
    const bool is_new = ::mkdir(made.c_str(), kDirectoryMode) == 0;
    if (!is_new && errno != EEXIST) return fail(errno, operation);
    if (is_new && ::chmod(made.c_str(), kDirectoryMode) != 0) {
      const int code = errno;
      ::rmdir(made.c_str());  // the next call must not take it as made
      return fail(code, operation);
    }
  }
  struct stat status = {};
  if (::lstat(directory.c_str(), &status) != 0) return fail(errno, operation);
  return check_directory(directory, status, operation);
}

DirectoryFault directory_fault(const struct stat& status, uid_t user, gid_t group) {
  const bool ours = status.st_uid == user || status.st_uid == 0;
  if (!S_ISDIR(status.st_mode) || !ours) return DirectoryFault::NotOurs;
  const bool by_group = (status.st_mode & S_IWGRP) != 0 && status.st_gid != group;
  if (by_group || (status.st_mode & S_IWOTH) != 0) return DirectoryFault::OthersCanWrite;
  return DirectoryFault::None;
}

std::string first_line(const std::filesystem::path& file) {
  auto text = read_file(file);
  return text ? text->substr(0, text->find('\n')) : std::string();
}

std::string link_name(const std::filesystem::path& link) {
  std::error_code error;
  return std::filesystem::read_symlink(link, error).filename().string();
}

std::optional<std::vector<std::string>> names_in(const std::filesystem::path& directory) {
  std::error_code error;
  std::vector<std::string> names;
  for (std::filesystem::directory_iterator at(directory, error), end; !error && at != end;
       at.increment(error)) {
    names.push_back(at->path().filename().string());
  }
  if (error) return std::nullopt;
  std::sort(names.begin(), names.end());
  return names;
}

}  // namespace passthru
