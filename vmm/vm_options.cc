// SPDX-License-Identifier: MIT
// The checks of a VM's options.
#include "vmm/vm_options.h"

#include <fmt/format.h>

#include <map>
#include <set>
#include <string_view>

#include "vmm/bus_places.h"
#include "vmm/memory_map.h"

namespace passthru {
namespace {

tl::unexpected<Error> refuse(int code, std::string operation, std::string cause,
                             std::string advice) {
  return tl::unexpected(Error{.code = code, .operation = std::move(operation)}
                            .because(std::move(cause))
                            .advise(std::move(advice)));
}

Result<void> check_backing(const MemoryBacking& backing, uint64_t memory) {
  const char* const operation = "make the guest's memory";
  if (backing.kind != MemoryBacking::Kind::Hugetlbfs) {
    if (backing.huge_page_size == 0) return {};
    return refuse(EINVAL, operation, "--huge-page-size requires --memory-from hugetlbfs",
                  "Add --memory-from hugetlbfs, or leave out --huge-page-size");
  }
  const uint64_t page = backing.huge_page();
  if (page != MemoryBacking::kUsualHugePage && page != MemoryBacking::kMaxHugePage) {
    return refuse(EINVAL, operation, fmt::format("x86 has no huge pages of {} bytes", page),
                  "Use --huge-page-size 2M or 1G");
  }
  if (memory % page == 0) return {};
  return refuse(EINVAL, operation,
                fmt::format("{} MiB are not a multiple of the huge page size, {} MiB",
                            memory / kMiB, page / kMiB),
                fmt::format("Use --memory {}M, or a smaller --huge-page-size",
                            (memory / page + 1) * page / kMiB));
}

/// The role of each descriptor. With two roles it would have two owners, and the second owner could
/// close another file.
class Descriptors {
 public:
  Result<void> give(int fd, std::string_view role) {
    if (fd < 0) return {};
    const auto [known, is_new] = roles_.emplace(fd, role);
    if (is_new || known->second == role) return {};
    return refuse(EINVAL, fmt::format("use descriptor {}", fd),
                  fmt::format("it is given as {} and as {}", known->second, role),
                  "Give each file by its own descriptor");
  }
  Result<void> give(const SourceArgument& source) {
    for (const int fd : {source.cdev_fd, source.group_fd}) {
      if (fd < 0 || devices_.insert(fd).second) continue;
      return refuse(EINVAL, fmt::format("assign the device of descriptor {}", fd),
                    "the descriptor is given twice",
                    "Give it once, and the other devices of a group by their addresses alone");
    }
    PASSTHRU_TRY(give(source.cdev_fd, "a device"));
    PASSTHRU_TRY(give(source.group_fd, "a group"));
    PASSTHRU_TRY(give(source.iommufd, "the iommufd"));
    return give(source.container_fd, "the container");
  }

 private:
  std::map<int, std::string_view> roles_;
  std::set<int> devices_;
};

}  // namespace

Result<void> VmOptions::check() const {
  const char* const operation = "make a virtual machine";
  if (memory < kMinMemory || memory > kMaxMemory) {
    return refuse(EINVAL, operation, fmt::format("{} bytes of memory are out of range", memory),
                  fmt::format("Give the guest from {} MiB to {} MiB, for example --memory 512M",
                              kMinMemory / kMiB, kMaxMemory / kMiB));
  }
  if (memory % kMemoryStep != 0) {
    return refuse(EINVAL, operation,
                  fmt::format("{} bytes of memory are not a whole number of steps", memory),
                  fmt::format("Use a multiple of {} MiB", kMemoryStep / kMiB));
  }
  PASSTHRU_TRY(check_backing(memory_from, memory));
  if (cpus < 1 || cpus > kMaxCpus) {
    return refuse(EINVAL, operation, fmt::format("{} CPUs are out of range", cpus),
                  fmt::format("Use 1 to {} CPUs", kMaxCpus));
  }
  std::set<Bdf> seen;
  Descriptors descriptors;
  PASSTHRU_TRY(descriptors.give(kvm_fd, "/dev/kvm"));
  std::vector<PlaceRequest> places;
  for (const DeviceArgument& each : devices) {
    const Bdf device = each.options.device;
    // A device that is given only by its descriptor is compared when it is opened.
    if (device != Bdf{} && !seen.insert(device).second) {
      return refuse(EINVAL, "assign " + device.str(), "the device is named twice",
                    "Name each device once");
    }
    PASSTHRU_TRY(descriptors.give(each.source));
    places.push_back({.device = device, .address = each.address});
  }
  static_cast<void>(PASSTHRU_TRY(place_on_bus(places)));
  return {};
}

}  // namespace passthru
