// SPDX-License-Identifier: MIT
// access(2) does not look at nodev and not at all security modules; open(2) does (may_open and
// security_file_open in the kernel).
#include "prepare/attach_trial.h"

#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <memory>
#include <new>
#include <span>
#include <string>
#include <vector>

#include "vfio/attach_advice.h"
#include "vfio/attach_facts.h"
#include "vfio/dma_space.h"
#include "vfio/ioas.h"

namespace passthru {
namespace {

namespace fs = std::filesystem;

/// A page that can be mapped for DMA.
class Page {
 public:
  Page()
      : size_(static_cast<size_t>(::sysconf(_SC_PAGESIZE))),
        memory_(::operator new (size_, std::align_val_t{size_})) {}
  Page(const Page&) = delete;
  Page& operator=(const Page&) = delete;
  ~Page() { ::operator delete (memory_, std::align_val_t{size_}); }
  [[nodiscard]] std::span<std::byte> bytes() const {
    return {static_cast<std::byte*>(memory_), size_};
  }

 private:
  size_t size_;
  void* memory_;
};

/// Returns an address at which the IOMMU can have the page.
uint64_t address_for(const Page& page, const std::vector<IovaRange>& ranges) {
  const auto fits = std::find_if(ranges.begin(), ranges.end(), [&](const IovaRange& range) {
    return range.last - range.first >= page.bytes().size() - 1;
  });
  return fits == ranges.end() ? 0 : fits->first;
}

Result<void> try_group(Kernel& kernel, const Sysfs& sysfs, uint32_t group) {
  const Page page;
  DmaSpace space(kernel);
  PASSTHRU_TRY(space.attach_group(group, /*allow_unsafe_interrupts=*/false, Fd(), Attachment::Own,
                                  [&] { return attach_facts(sysfs, group); }));
  Result<void> mapped;
  if (auto ranges = space.usable_iova_ranges()) {
    mapped = space.add(address_for(page, *ranges), page.bytes(), /*writable=*/true);
  } else {
    mapped = tl::unexpected(std::move(ranges).error());
  }
  space.detach_group(group);
  return mapped;
}

Result<void> try_node(Kernel& kernel, const std::string& cdev) {
  const auto node = kernel.open_cdev(cdev);
  if (!node) return tl::unexpected(explain_cdev(node.error(), cdev));
  const Page page;
  Ioas ioas(kernel, nullptr);
  PASSTHRU_TRY(ioas.prepare(Attachment::Own));
  Result<void> mapped;
  if (auto ranges = ioas.iova_ranges()) {
    mapped = ioas.map(address_for(page, *ranges), page.bytes(), /*writable=*/true);
  } else {
    mapped = tl::unexpected(std::move(ranges).error());
  }
  ioas.close();
  return mapped;
}

bool is_on_nodev(const fs::path& node) {
  struct statvfs status = {};
  return ::statvfs(node.c_str(), &status) == 0 && (status.f_flag & ST_NODEV) != 0;
}

}  // namespace

bool opens_by_node(const HostFacts& host, const DeviceFacts& device) {
  // See vfio/device_source: a VF token is presented through the group.
  const bool guarded = device.physical && device.physical->on_vfio;
  return host.iommufd && host.iommufd_errno == 0 && !device.cdev.empty() &&
         device.cdev_errno == 0 && !guarded;
}

Result<void> try_attach(Kernel& kernel, const HostRoots& roots, const DeviceFacts& device,
                        bool by_node) {
  const uint32_t group = *device.function.iommu_group;
  auto tried = by_node ? try_node(kernel, device.cdev) : try_group(kernel, Sysfs(roots.sys), group);
  if (tried || tried.error().code != EACCES) return tried;
  const fs::path vfio = roots.dev / "vfio";
  const bool nodev =
      by_node ? is_on_nodev(roots.dev / "iommu") || is_on_nodev(vfio / "devices" / device.cdev)
              : is_on_nodev(vfio / "vfio") || is_on_nodev(vfio / std::to_string(group));
  return tl::unexpected(explain_forbidden(std::move(tried).error(), nodev));
}

Error explain_forbidden(Error error, bool nodev) {
  if (nodev) {
    return std::move(error)
        .because("its file system is mounted with nodev")
        .advise("Mount /dev without nodev: 'mount -o remount,dev' with the mount point");
  }
  return std::move(error)
      .because("its mode allows it, but a security module (SELinux, AppArmor) does not")
      .advise("The kernel's log or the audit log names the rule. Allow the node in the policy");
}

HostCheck check_attach(const Result<void>& tried) {
  constexpr const char* kName = "attach";
  if (tried) {
    return {kName, Answer::Ok, "tried: the nodes open, and a page was mapped for DMA", {}};
  }
  Error error = tried.error();
  const std::string remedy = std::move(error.advice);
  error.advice.clear();
  return {kName, Answer::No, "a trial has failed: " + error.message(), remedy};
}

}  // namespace passthru
