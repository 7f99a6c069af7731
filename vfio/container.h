// SPDX-License-Identifier: MIT
// VFIO's type1v2 container, to which groups are attached: the older of VFIO's two interfaces. Each
// DmaSpace has a container. It is open while a group is attached.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <vector>

#include "base/fd.h"
#include "base/result.h"
#include "vfio/attach_facts.h"
#include "vfio/iommu_space.h"
#include "vfio/kernel.h"

namespace passthru {

/// A container and its groups. Not thread-safe: DmaSpace's lock covers it.
class Container final : public IommuSpace {
 public:
  /// `listener` may be null. It must outlive the container.
  Container(Kernel& kernel, VfioFileListener* listener) : kernel_(kernel), listener_(listener) {}

  /// Takes over a container from the caller and keeps it until the end.
  ///
  /// Errors:
  /// - EINVAL: another container is in use.
  /// - EBADF, EINVAL, ENOTTY, with advice: the descriptor is not a container. It is closed.
  Result<void> adopt(Fd container);

  /// Attaches a group, or counts one more use of it. `given` is its descriptor if the caller opened
  /// it. `facts` explain a refusal. Returns the group's descriptor, which this object owns. An
  /// error changes nothing.
  ///
  /// Errors:
  /// - EINVAL: the group is handed over, and the container is not, or the group is in no container.
  /// - Errors of the kernel, with advice.
  Result<int> attach(uint32_t group, Fd given, Attachment attachment = Attachment::Own,
                     const AttachFactsReader& facts = {});
  /// Returns one use. The last use closes the group; the last group ends all mappings. A group that
  /// another process goes on with stays in the container.
  void detach(uint32_t group, Attachment attachment = Attachment::Own);

  [[nodiscard]] bool active() const override { return !groups_.empty(); }
  [[nodiscard]] bool has(uint32_t group) const { return groups_.contains(group); }
  /// Returns whether its first group was handed over. The container then has the mappings of the
  /// process before.
  [[nodiscard]] bool handed_over() const { return handed_over_; }
  /// Return the descriptors, or -1.
  [[nodiscard]] int fd() const { return fd_.get(); }
  [[nodiscard]] int group_fd(uint32_t group) const {
    const auto found = groups_.find(group);
    return found == groups_.end() ? -1 : found->second.fd->get();
  }
  Result<void> map(uint64_t iova, std::span<std::byte> memory, bool writable) override {
    return kernel_.map_dma(fd_.get(), iova, memory, writable);
  }
  Result<void> unmap(uint64_t iova, uint64_t size) override {
    return kernel_.unmap_dma(fd_.get(), iova, size);
  }
  Result<std::vector<IovaRange>> iova_ranges() override {
    return kernel_.container_iova_ranges(fd_.get());
  }
  using GroupFd = std::shared_ptr<const Fd>;
  /// Returns the group of each function once. A group that is detached meanwhile stays open as long
  /// as its descriptor here.
  ///
  /// Errors:
  /// - EPERM: the group of a function is not attached here, so it may have another owner. The
  ///   message names the function.
  [[nodiscard]] Result<std::vector<GroupFd>> groups_of(
      std::span<const HotResetFunction> functions) const;

 private:
  struct Group {
    GroupFd fd;
    unsigned uses;
  };
  Result<void> open();
  Result<void> check(const Fd& container);
  Result<Fd> open_group(uint32_t group, Fd given);
  Result<void> attach_new(uint32_t group, Fd given, const AttachFactsReader& facts);
  Result<void> take_over(uint32_t group, Fd given);
  void unset(const Fd& group);
  void close();

  Kernel& kernel_;
  VfioFileListener* const listener_;
  bool given_ = false;  ///< the caller opened it
  bool handed_over_ = false;
  Fd fd_;  ///< outlives the groups: members are destroyed in reverse order
  std::map<uint32_t, Group> groups_;
};

}  // namespace passthru
