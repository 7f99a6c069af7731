// SPDX-License-Identifier: MIT
#include "vfio/container.h"

#include <fmt/format.h>
#include <linux/vfio.h>

#include <utility>
#include <vector>

#include "vfio/attach_advice.h"

namespace passthru {

Result<void> Container::adopt(Fd container) {
  if (fd_) {
    return fail(EINVAL, "use the container", "the VM already uses another container");
  }
  if (auto checked = check(container); !checked) {
    return tl::unexpected(explain_given_container(std::move(checked).error(), container.get()));
  }
  fd_ = std::move(container);
  given_ = true;
  return {};
}

Result<int> Container::attach(uint32_t group, Fd given, Attachment attachment,
                              const AttachFactsReader& facts) {
  auto found = groups_.find(group);
  if (found == groups_.end()) {
    auto attached = attachment == Attachment::Own ? attach_new(group, std::move(given), facts)
                                                  : take_over(group, std::move(given));
    if (!attached) {
      close();
      return tl::unexpected(std::move(attached).error());
    }
    found = groups_.find(group);
  }
  ++found->second.uses;
  return found->second.fd->get();
}

Result<void> Container::attach_new(uint32_t group, Fd given, const AttachFactsReader& facts) {
  const auto explained = [&](Error error) {
    return tl::unexpected(explain_iommu(std::move(error), group, facts ? facts() : AttachFacts{}));
  };
  const bool first = groups_.empty();
  if (!fd_) PASSTHRU_TRY(open());
  Fd fd = PASSTHRU_TRY(open_group(group, std::move(given)));
  auto attached = kernel_.set_container(fd.get(), fd_.get());
  if (!attached) return explained(std::move(attached).error());
  if (first) attached = kernel_.set_iommu(fd_.get(), VFIO_TYPE1v2_IOMMU);
  if (!attached) attached = explained(std::move(attached).error());
  if (attached && listener_ != nullptr) attached = listener_->file_added(fd.get());
  if (!attached) {
    unset(fd);
    return attached;
  }
  groups_.emplace(group, Group{std::make_shared<const Fd>(std::move(fd)), 0});
  return {};
}

// The group is in the container, and the container has its IOMMU and its mappings.
Result<void> Container::take_over(uint32_t group, Fd given) {
  const std::string operation = fmt::format("take over group {}", group);
  if (!given_ || !given) {
    auto refused = fail(EINVAL, operation, "the group and its container were not both handed over");
    refused.value().advice = "Pass the descriptors of the process that has the device open";
    return refused;
  }
  const bool first = groups_.empty();
  Fd fd = PASSTHRU_TRY(open_group(group, std::move(given)));
  if (!PASSTHRU_TRY(kernel_.group_status(fd.get())).container_set) {
    return fail(EINVAL, operation, "it is in no container, so no process has its devices open");
  }
  if (listener_ != nullptr) PASSTHRU_TRY(listener_->file_added(fd.get()));
  handed_over_ |= first;
  groups_.emplace(group, Group{std::make_shared<const Fd>(std::move(fd)), 0});
  return {};
}

// When the last group leaves, the kernel drops the IOMMU and every mapping.
void Container::unset(const Fd& group) {
  ignore(kernel_.unset_container(group.get()),
         "closing the group does the same, unless another process still has it open");
}

void Container::detach(uint32_t group, Attachment attachment) {
  const auto found = groups_.find(group);
  if (found == groups_.end() || --found->second.uses != 0) return;
  if (listener_ != nullptr) listener_->file_removed(found->second.fd->get());
  if (attachment == Attachment::Own) unset(*found->second.fd);
  groups_.erase(found);
  close();
}

// A container without groups has lost its IOMMU and its mappings: the next group gets a new
// container.
void Container::close() {
  if (!groups_.empty()) return;
  handed_over_ = false;
  if (!given_) fd_.reset();
}

Result<void> Container::open() {
  auto opened = kernel_.open_container();
  if (!opened) return tl::unexpected(explain_container(std::move(opened).error()));
  PASSTHRU_TRY(check(*opened));
  fd_ = std::move(*opened);
  return {};
}

// Checks that the descriptor is a container with the type1v2 IOMMU.
Result<void> Container::check(const Fd& container) {
  const int version = PASSTHRU_TRY(kernel_.api_version(container.get()));
  if (version != VFIO_API_VERSION) {
    return fail(EPROTO, "VFIO_GET_API_VERSION",
                fmt::format("Passthru does not know API version {}", version));
  }
  if (!PASSTHRU_TRY(kernel_.has_extension(container.get(), VFIO_TYPE1v2_IOMMU))) {
    auto error = fail(ENODEV, "VFIO_CHECK_EXTENSION", "the kernel offers no type1v2 IOMMU");
    error.value().advice = "Load it: modprobe vfio_iommu_type1";
    return error;
  }
  return {};
}

Result<Fd> Container::open_group(uint32_t group, Fd given) {
  Fd fd = std::move(given);
  if (!fd) {
    auto opened = kernel_.open_group(group);
    if (!opened) return tl::unexpected(explain_group(std::move(opened).error(), group));
    fd = std::move(*opened);
  }
  const GroupStatus status = PASSTHRU_TRY(kernel_.group_status(fd.get()));
  if (!status.viable) return tl::unexpected(group_not_viable(group));
  return fd;
}

Result<std::vector<Container::GroupFd>> Container::groups_of(
    std::span<const HotResetFunction> functions) const {
  std::map<uint32_t, GroupFd> owned;
  for (const HotResetFunction& function : functions) {
    const auto group = groups_.find(function.group);
    if (group == groups_.end()) {
      return tl::unexpected(
          reset_takes(function.bdf, fmt::format(", of IOMMU group {}", function.group)));
    }
    owned[function.group] = group->second.fd;
  }
  std::vector<GroupFd> groups;
  groups.reserve(owned.size());
  for (auto& [number, fd] : owned) groups.push_back(std::move(fd));
  return groups;
}

}  // namespace passthru
