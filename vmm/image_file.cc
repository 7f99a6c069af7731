// SPDX-License-Identifier: MIT
#include "vmm/image_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "base/fd.h"
#include "vmm/memory_map.h"

namespace passthru {
namespace {

tl::unexpected<Error> not_read(int code, const std::string& operation) {
  if (code != EISDIR) return fail(code, operation);
  return tl::unexpected(Error{.code = code, .operation = operation}
                            .because("it is a directory")
                            .advise("Name a file in it"));
}

}  // namespace

Result<std::vector<std::byte>> read_image(const std::string& path, const std::string& what) {
  if (path.empty()) {  // from an empty shell variable
    return tl::unexpected(Error{.code = ENOENT, .operation = "read " + what}
                              .because("its name is empty")
                              .advise("Name a file"));
  }
  const std::string operation = "read " + what + " " + path;
  const Fd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file) return fail(errno, operation);

  constexpr size_t kLimit = 2 * kGiB, kStep = kMiB;
  const auto too_large = [&] { return fail(EFBIG, operation, "it is larger than 2 GiB"); };
  std::vector<std::byte> bytes;
  // Reserves one block, which the allocator returns to the system. A vector that grows leaves its
  // old blocks in the allocator: 15 MB for an initramfs of 12 MB.
  struct stat status = {};
  if (::fstat(file.get(), &status) == 0 && status.st_size > 0) {
    if (static_cast<size_t>(status.st_size) > kLimit) return too_large();
    bytes.reserve(static_cast<size_t>(status.st_size) + kStep);
  }
  for (size_t used = 0;;) {
    bytes.resize(used + kStep);
    const ssize_t got = ::read(file.get(), bytes.data() + used, kStep);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return not_read(errno, operation);
    used += static_cast<size_t>(got);
    if (got == 0) {
      bytes.resize(used);
      return bytes;
    }
    if (used > kLimit) return too_large();
  }
}

}  // namespace passthru
