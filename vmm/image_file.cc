// SPDX-License-Identifier: MIT
// Owns the loop that reads a file to its end.
#include "vmm/image_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "base/fd.h"
#include "vmm/memory_map.h"

namespace passthru {

Result<std::vector<std::byte>> read_image(const std::string& path, const std::string& what) {
  const std::string operation = "read " + what + " " + path;
  const Fd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file) return fail(errno, operation);

  constexpr size_t kLimit = 2 * kGiB, kStep = kMiB;
  const auto too_large = [&] { return fail(EFBIG, operation, "it is larger than 2 GiB"); };
  std::vector<std::byte> bytes;
  // One piece of memory, which goes back to the system as one. A vector that grows leaves the
  // allocator holding what it has outgrown: 15 MB of an initramfs of 12.
  struct stat status = {};
  if (::fstat(file.get(), &status) == 0 && status.st_size > 0) {
    if (static_cast<size_t>(status.st_size) > kLimit) return too_large();
    bytes.reserve(static_cast<size_t>(status.st_size) + kStep);
  }
  for (size_t used = 0;;) {
    bytes.resize(used + kStep);
    const ssize_t got = ::read(file.get(), bytes.data() + used, kStep);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return fail(errno, operation);
    used += static_cast<size_t>(got);
    if (got == 0) {
      bytes.resize(used);
      return bytes;
    }
    if (used > kLimit) return too_large();
  }
}

}  // namespace passthru
