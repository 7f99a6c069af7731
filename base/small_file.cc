// SPDX-License-Identifier: MIT
// An attribute's store reports its errno from write(2); streams would lose it.
#include "base/small_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <system_error>

#include "base/fd.h"

namespace passthru {

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

Result<void> write_file(const std::filesystem::path& file, std::string_view text, bool create) {
  const std::string operation = "write " + file.string();
  const int flags = O_WRONLY | O_CLOEXEC | (create ? O_CREAT | O_TRUNC : 0);
  const Fd fd(::open(file.c_str(), flags, 0644));
  if (!fd) return fail(errno, operation);
  const ssize_t n = ::write(fd.get(), text.data(), text.size());
  if (n < 0) return fail(errno, operation);
  if (static_cast<size_t>(n) != text.size())
    return fail(EIO, operation, "the kernel accepted only a part of the text");
  return {};
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
