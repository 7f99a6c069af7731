// SPDX-License-Identifier: MIT
// LinuxKernel: the calls other than ioctl. They open, read, write and map files, and handle
// eventfds and limits. Every descriptor is close-on-exec.
#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/small_file.h"
#include "vfio/linux_kernel.h"
#include "vfio/mapping_address.h"
#include "vfio/unsafe_interrupts.h"

namespace passthru {
namespace {

Result<Fd> open_path(const std::string& path) {
  Fd fd(::open(path.c_str(), O_RDWR | O_CLOEXEC));
  if (!fd) return fail(errno, "open " + path);
  return fd;
}

struct FileMapping {
  int fd;
  off_t offset;
  size_t size;
  int protection;

  /// Returns null on an error, in errno.
  [[nodiscard]] std::byte* map_at(void* address, int flags) const {
    void* const mapped = ::mmap(address, size, protection, MAP_SHARED | flags, fd, offset);
    return mapped == MAP_FAILED ? nullptr : static_cast<std::byte*>(mapped);
  }
};

void free_addresses(std::byte* begin, uint64_t size) {
  if (size > 0) ::munmap(begin, size);
}

/// Maps a file again, at an address that agrees with its offset modulo `alignment`. Returns null if
/// that fails. It reserves more addresses than it needs, and frees those around the mapping.
std::byte* map_congruent(const FileMapping& file, uint64_t alignment) {
  const auto page = static_cast<uint64_t>(::sysconf(_SC_PAGESIZE));
  const uint64_t size = (file.size + page - 1) / page * page;
  void* const reserved = ::mmap(nullptr, size + alignment, PROT_NONE,
                                MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (reserved == MAP_FAILED) return nullptr;
  auto* const begin = static_cast<std::byte*>(reserved);
  const auto from = reinterpret_cast<uint64_t>(reserved);
  const uint64_t before =
      congruent_address(from, static_cast<uint64_t>(file.offset), alignment) - from;
  std::byte* const mapped = file.map_at(begin + before, MAP_FIXED);
  // If that fails, the addresses between may already belong to another thread.
  free_addresses(begin, before);
  free_addresses(begin + before + size, alignment - before);
  return mapped;
}

}  // namespace

Result<Fd> LinuxKernel::open_container() {
  return open_path("/dev/vfio/vfio");
}

Result<Fd> LinuxKernel::open_group(uint32_t group) {
  return open_path(fmt::format("/dev/vfio/{}", group));
}

Result<Fd> LinuxKernel::open_iommufd() {
  return open_path("/dev/iommu");
}

Result<Fd> LinuxKernel::open_cdev(const std::string& name) {
  return open_path("/dev/vfio/devices/" + name);
}

Result<std::string> LinuxKernel::device_number(int fd) {
  struct stat status = {};
  if (::fstat(fd, &status) != 0) return fail(errno, "fstat");
  if (!S_ISCHR(status.st_mode))
    return fail(EINVAL, "fstat", "the descriptor is not a character device");
  return fmt::format("{}:{}", major(status.st_rdev), minor(status.st_rdev));
}

Result<bool> LinuxKernel::unsafe_interrupts_allowed(Backend backend) {
  return passthru::unsafe_interrupts_allowed("/sys", backend);
}

Result<std::string> LinuxKernel::memory_map() {
  constexpr size_t kEnoughLines = size_t{1} << 20;
  return read_file("/proc/iomem", kEnoughLines);
}

uint64_t LinuxKernel::page_size() const {
  return static_cast<uint64_t>(::sysconf(_SC_PAGESIZE));
}

Result<uint64_t> LinuxKernel::locked_memory_limit() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_MEMLOCK, &limit) != 0) return fail(errno, "getrlimit RLIMIT_MEMLOCK");
  return limit.rlim_cur == RLIM_INFINITY ? UINT64_MAX : uint64_t{limit.rlim_cur};
}

Result<void> LinuxKernel::read_region(int device, uint64_t fd_offset, std::span<std::byte> data) {
  const ssize_t done = ::pread(device, data.data(), data.size(), static_cast<off_t>(fd_offset));
  if (done < 0) return fail(errno, "pread");
  if (static_cast<size_t>(done) != data.size()) return fail(EIO, "pread", "short transfer");
  return {};
}

Result<void> LinuxKernel::write_region(int device, uint64_t fd_offset,
                                       std::span<const std::byte> data) {
  const ssize_t done = ::pwrite(device, data.data(), data.size(), static_cast<off_t>(fd_offset));
  if (done < 0) return fail(errno, "pwrite");
  if (static_cast<size_t>(done) != data.size()) return fail(EIO, "pwrite", "short transfer");
  return {};
}

Result<Mapped> LinuxKernel::map_region(int device, uint64_t fd_offset, size_t size, bool writable) {
  const FileMapping file{.fd = device,
                         .offset = static_cast<off_t>(fd_offset),
                         .size = size,
                         .protection = writable ? PROT_READ | PROT_WRITE : PROT_READ};
  std::byte* const anywhere = file.map_at(nullptr, 0);
  if (anywhere == nullptr) return fail(errno, "mmap");
  const uint64_t alignment = huge_page_of(size);
  const auto address = reinterpret_cast<uint64_t>(anywhere);
  if (alignment == 0 || congruent_address(address, fd_offset, alignment) == address) {
    return Mapped{anywhere, size};
  }
  // VFIO maps pages when they are first accessed, so a second mapping costs little.
  std::byte* const aligned = map_congruent(file, alignment);
  if (aligned == nullptr) return Mapped{anywhere, size};
  ::munmap(anywhere, size);
  return Mapped{aligned, size};
}

void LinuxKernel::unmap_region(Mapped mapped) {
  ::munmap(mapped.address, mapped.size);
}

Result<Fd> LinuxKernel::make_eventfd() {
  Fd fd(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC));
  if (!fd) return fail(errno, "eventfd");
  return fd;
}

Result<void> LinuxKernel::signal_eventfd(int eventfd) {
  const uint64_t one = 1;
  if (::write(eventfd, &one, sizeof one) < 0) return fail(errno, "write eventfd");
  return {};
}

Result<uint64_t> LinuxKernel::drain_eventfd(int eventfd) {
  uint64_t count = 0;
  if (::read(eventfd, &count, sizeof count) >= 0) return count;
  if (errno == EAGAIN) return uint64_t{0};
  return fail(errno, "read eventfd");
}

Result<std::vector<size_t>> LinuxKernel::signalled_eventfds(std::span<const int> eventfds) {
  std::vector<pollfd> polled;
  polled.reserve(eventfds.size());
  for (const int fd : eventfds) polled.push_back({.fd = fd, .events = POLLIN, .revents = 0});
  if (::poll(polled.data(), polled.size(), 0) < 0) return fail(errno, "poll");
  std::vector<size_t> signalled;
  for (size_t i = 0; i < polled.size(); ++i) {
    if ((polled[i].revents & POLLIN) != 0) signalled.push_back(i);
  }
  return signalled;
}

}  // namespace passthru
