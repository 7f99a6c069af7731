// SPDX-License-Identifier: MIT
#include "tools/output_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <utility>

namespace passthru::tools {
namespace {

constexpr mode_t kOutputMode = 0644;

// Returns whether a write to the file goes to a reader and changes no data that is stored.
bool is_stream(const struct stat& status) {
  return S_ISCHR(status.st_mode) || S_ISFIFO(status.st_mode);
}

}  // namespace

Result<OutputFile> OutputFile::create(const std::string& path, Existing existing) {
  OutputFile file(path, existing);
  struct stat named = {};
  struct stat target = {};
  if (::lstat(path.c_str(), &named) != 0) {
    if (errno != ENOENT) return tl::unexpected(file.error(errno));
    PASSTHRU_TRY(file.open_beside());
    return file;
  }
  const bool link = S_ISLNK(named.st_mode);
  const bool trusted = !link || named.st_uid == 0 || named.st_uid == ::geteuid();
  if (trusted && ::stat(path.c_str(), &target) == 0 && is_stream(target)) {
    PASSTHRU_TRY(file.open_special(link));
    return file;
  }
  if (link) return tl::unexpected(file.error(ELOOP));
  if (S_ISDIR(named.st_mode)) return tl::unexpected(file.error(EISDIR));
  if (!S_ISREG(named.st_mode)) return tl::unexpected(file.error(EINVAL));
  if (existing == Existing::Keep) return tl::unexpected(file.error(EEXIST));
  PASSTHRU_TRY(file.open_beside());
  return file;
}

OutputFile::OutputFile(OutputFile&& other) noexcept
    : path_(std::move(other.path_)),
      existing_(other.existing_),
      beside_(std::exchange(other.beside_, {})),
      fd_(std::move(other.fd_)) {}

OutputFile::~OutputFile() {
  if (!beside_.empty()) ::unlink(beside_.c_str());
}

Error OutputFile::error(int code) const {
  Error failure{.code = code, .operation = "write " + path_, .advice = "Name another file"};
  if (code == EEXIST) failure.advice += ", or replace it with --force";
  if (code == EINVAL) failure.cause = "it is neither a file nor a stream";
  if (code == ELOOP) {
    failure.cause = "it is a symbolic link";
    failure.advice = "Name the file itself";
  }
  return failure;
}

// Another user may replace their stream by a link or a file after the check.
Result<void> OutputFile::open_special(bool link) {
  const int follow = link ? 0 : O_NOFOLLOW;
  fd_ = Fd(::open(path_.c_str(), O_WRONLY | O_CLOEXEC | O_NOCTTY | follow));
  struct stat opened = {};
  if (!fd_ || ::fstat(fd_.get(), &opened) != 0) return tl::unexpected(error(errno));
  if (!is_stream(opened)) {
    return tl::unexpected(error(EINVAL).because("another process has replaced it"));
  }
  return {};
}

// The process id keeps two commands apart. A file with it is left by a process that was killed.
Result<void> OutputFile::open_beside() {
  const std::filesystem::path path(path_);
  const std::string name = fmt::format(".{}.{}.new", path.filename().string(), ::getpid());
  const std::string beside = path.parent_path() / name;
  constexpr int kFlags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC;
  ::unlink(beside.c_str());
  fd_ = Fd(::open(beside.c_str(), kFlags, kOutputMode));
  if (!fd_) return tl::unexpected(error(errno));
  beside_ = beside;
  return {};
}

Result<void> OutputFile::write(std::string_view text) {
  while (!text.empty()) {
    const ssize_t wrote = ::write(fd_.get(), text.data(), text.size());
    if (wrote < 0 && errno == EINTR) continue;
    if (wrote < 0) return tl::unexpected(error(errno));
    text.remove_prefix(static_cast<size_t>(wrote));
  }
  return {};
}

Result<void> OutputFile::commit() {
  // NFS reports a full disk only here.
  if (::close(fd_.release()) != 0) return tl::unexpected(error(errno));
  if (beside_.empty()) return {};
  // Without --force, a file that was made meanwhile stays too. Some file systems cannot do that.
  int done = -1;
  if (existing_ == Existing::Keep) {
    done = ::renameat2(AT_FDCWD, beside_.c_str(), AT_FDCWD, path_.c_str(), RENAME_NOREPLACE);
  }
  if (existing_ == Existing::Replace || (done != 0 && errno == EINVAL)) {
    done = ::rename(beside_.c_str(), path_.c_str());
  }
  if (done != 0) return tl::unexpected(error(errno));
  beside_.clear();
  return {};
}

}  // namespace passthru::tools
