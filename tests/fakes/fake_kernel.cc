// SPDX-License-Identifier: MIT
// The common part of the fake kernel's calls: recording, injected failures, and open files. Each
// file is one end of a pipe; its last close shows at the other end.
#include "tests/fakes/fake_kernel.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <fstream>

#include "vfio/linux_kernel.h"

namespace passthru {
namespace {

/// Returns the kernel's number of the eventfd; 0 if `fd` is not an open eventfd.
uint64_t eventfd_id(int fd) {
  std::ifstream info("/proc/self/fdinfo/" + std::to_string(fd));
  std::string word;
  uint64_t id = 0;
  while (info >> word) {
    if (word == "eventfd-id:" && info >> id) return id + 1;
  }
  return 0;
}

/// Returns the number of the pipe behind a descriptor.
std::optional<ino_t> pipe_of(int fd) {
  struct stat file = {};
  if (::fstat(fd, &file) != 0 || !S_ISFIFO(file.st_mode)) return std::nullopt;
  return file.st_ino;
}

bool closed(const Fd& peer) {
  pollfd poll_peer{.fd = peer.get(), .events = 0, .revents = 0};
  return poll(&poll_peer, 1, 0) > 0 && (poll_peer.revents & POLLHUP) != 0;
}

}  // namespace

FakeDevice& FakeKernel::add(FakeSpec spec) {
  MutexLock lock(kernel_mutex_);
  groups_.try_emplace(spec.group);
  devices_.push_back(
      std::make_unique<FakeDevice>(std::move(spec), interrupt_remapping_, page_size_));
  return *devices_.back();
}

void FakeKernel::set_interrupt_remapping(bool present) {
  MutexLock lock(kernel_mutex_);
  interrupt_remapping_ = present;
}

void FakeKernel::set_unsafe_interrupts_allowed(bool allowed) {
  MutexLock lock(kernel_mutex_);
  unsafe_allowed_ = allowed;
}

void FakeKernel::set_group_viable(uint32_t group, bool viable) {
  MutexLock lock(kernel_mutex_);
  groups_[group].viable = viable;
}

void FakeKernel::set_locked_memory_limit(uint64_t bytes) {
  MutexLock lock(kernel_mutex_);
  locked_limit_ = bytes;
}

void FakeKernel::set_iova_ranges(std::vector<IovaRange> ranges) {
  MutexLock lock(kernel_mutex_);
  iova_ranges_ = std::move(ranges);
}

bool FakeKernel::usable(uint64_t iova, uint64_t size) const {
  return std::any_of(iova_ranges_.begin(), iova_ranges_.end(), [=](const IovaRange& range) {
    return iova >= range.first && iova + (size - 1) <= range.last;
  });
}

void FakeKernel::set_maps_files(bool maps_files) {
  MutexLock lock(kernel_mutex_);
  maps_files_ = maps_files;
}

void FakeKernel::fail(std::string call, int code, unsigned nth) {
  MutexLock lock(kernel_mutex_);
  failures_.push_back({std::move(call), code, nth});
}

std::vector<FakeCall> FakeKernel::calls(std::string_view name) const {
  MutexLock lock(kernel_mutex_);
  std::vector<FakeCall> found;
  std::copy_if(calls_.begin(), calls_.end(), std::back_inserter(found),
               [&](const FakeCall& call) { return name == "*" || call.name == name; });
  return found;
}

void FakeKernel::forget_calls() {
  MutexLock lock(kernel_mutex_);
  calls_.clear();
}

size_t FakeKernel::open_fds() {
  MutexLock lock(kernel_mutex_);
  reap();
  std::erase_if(eventfds_,
                [](const auto& entry) { return eventfd_id(entry.first) != entry.second; });
  return handles_.size() + eventfds_.size();
}

size_t FakeKernel::mappings() const {
  MutexLock lock(kernel_mutex_);
  return mapped_.size();
}

size_t FakeKernel::dma_mappings() {
  MutexLock lock(kernel_mutex_);
  reap();
  std::set<const Container*> counted;
  size_t count = 0;
  auto add = [&](const Container* container) {
    if (container != nullptr && counted.insert(container).second) count += container->dma.size();
  };
  std::set<const Iommufd*> iommufds;
  for (const auto& [pipe, handle] : handles_) {
    add(handle.container.get());
    const Iommufd* const iommufd = handle.cdev ? handle.cdev->iommufd.get() : handle.iommufd.get();
    if (iommufd == nullptr || !iommufds.insert(iommufd).second) continue;
    for (const auto& [id, space] : iommufd->spaces) count += space.dma.size();
  }
  for (const auto& [number, group] : groups_) add(group.container.get());
  return count;
}

Result<void> FakeKernel::enter(FakeCall call) {
  const std::string_view name = call.name;
  calls_.push_back(std::move(call));
  int code = 0;
  for (Failure& failure : failures_) {
    if ((failure.call == "*" || failure.call == name) && --failure.left == 0) code = failure.code;
  }
  std::erase_if(failures_, [](const Failure& failure) { return failure.left == 0; });
  if (code != 0) return passthru::fail(code, std::string(name));
  return {};
}

Result<Fd> FakeKernel::hand_out(Handle handle) {
  std::array<int, 2> ends{};
  if (pipe2(ends.data(), O_CLOEXEC) != 0) return passthru::fail(errno, "pipe2");
  handle.peer = Fd(ends[0]);
  Fd file(ends[1]);
  handles_[*pipe_of(file.get())] = std::move(handle);
  return file;
}

Result<FakeKernel::Handle*> FakeKernel::find(int fd, const char* call) {
  reap();
  const auto pipe = pipe_of(fd);
  const auto found = pipe ? handles_.find(*pipe) : handles_.end();
  if (found == handles_.end()) return passthru::fail(EBADF, call);
  return &found->second;
}

Result<FakeDevice*> FakeKernel::enter_device(FakeCall call) {
  MutexLock lock(kernel_mutex_);
  const std::string name(call.name);
  const int fd = call.fd;
  PASSTHRU_TRY(enter(std::move(call)));
  Handle* handle = PASSTHRU_TRY(find(fd, name.c_str()));
  if (handle->device == nullptr) return passthru::fail(ENOTTY, name);
  // A device's own descriptor allows no call before it is bound.
  if (!handle->opens_device()) return passthru::fail(EINVAL, name);
  return handle->device;
}

std::vector<FakeDevice*> FakeKernel::on_bus(uint8_t bus) const {
  std::vector<FakeDevice*> found;
  for (const auto& device : devices_) {
    if (device->spec().bdf.bus == bus) found.push_back(device.get());
  }
  return found;
}

bool FakeKernel::group_open(uint32_t group) const {
  return std::any_of(handles_.begin(), handles_.end(), [&](const auto& entry) {
    const Handle& handle = entry.second;
    return !handle.container && !handle.iommufd && !handle.cdev && handle.group == group;
  });
}

void FakeKernel::reap() {
  std::set<FakeDevice*> released;
  std::erase_if(handles_, [&](const auto& entry) {
    if (!closed(entry.second.peer)) return false;
    const Handle& handle = entry.second;
    if (handle.cdev && handle.cdev->space != 0) {
      --handle.cdev->iommufd->spaces.at(handle.cdev->space).devices;
    }
    if (handle.opens_device()) released.insert(handle.device);
    return true;
  });
  for (const auto& [pipe, handle] : handles_) {
    if (handle.opens_device()) released.erase(handle.device);
  }
  for (FakeDevice* device : released) device->released();
  for (auto& [number, group] : groups_) {
    if (!group.container || group_open(number)) continue;
    // Removing the last group also removes the IOMMU and all mappings.
    group.container->groups.erase(number);
    if (group.container->groups.empty()) *group.container = Container{};
    group.container.reset();
  }
}

Result<Fd> FakeKernel::make_eventfd() {
  const FakeHook::Around around(hook, "eventfd");
  MutexLock lock(kernel_mutex_);
  PASSTHRU_TRY(enter({.name = "eventfd"}));
  Fd eventfd(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC));
  if (!eventfd) return passthru::fail(errno, "eventfd");
  eventfds_[eventfd.get()] = eventfd_id(eventfd.get());
  return eventfd;
}

Result<void> FakeKernel::signal_eventfd(int eventfd) {
  const FakeHook::Around around(hook, "signal_eventfd");
  std::vector<FakeDevice*> devices;
  {
    MutexLock lock(kernel_mutex_);
    PASSTHRU_TRY(enter({.name = "signal_eventfd", .fd = eventfd}));
    for (auto& device : devices_) devices.push_back(device.get());
  }
  const uint64_t one = 1;
  if (::write(eventfd, &one, sizeof one) < 0) return passthru::fail(errno, "write eventfd");
  for (FakeDevice* device : devices) device->poll_unmask();
  return {};
}

Result<uint64_t> FakeKernel::drain_eventfd(int eventfd) {
  const FakeHook::Around around(hook, "drain_eventfd");
  {
    MutexLock lock(kernel_mutex_);
    PASSTHRU_TRY(enter({.name = "drain_eventfd", .fd = eventfd}));
  }
  uint64_t count = 0;
  if (::read(eventfd, &count, sizeof count) >= 0) return count;
  if (errno == EAGAIN) return uint64_t{0};
  return passthru::fail(errno, "read eventfd");
}

Result<std::vector<size_t>> FakeKernel::signalled_eventfds(std::span<const int> eventfds) {
  const FakeHook::Around around(hook, "poll");
  {
    MutexLock lock(kernel_mutex_);
    PASSTHRU_TRY(enter({.name = "poll"}));
  }
  return LinuxKernel().signalled_eventfds(eventfds);
}

}  // namespace passthru
