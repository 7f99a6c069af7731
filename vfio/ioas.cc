// SPDX-License-Identifier: MIT
// KVM learns of a device before the bind, because the kernel looks for its VM then. KVM forgets the
// device after the detach.
#include "vfio/ioas.h"

#include <cerrno>
#include <utility>

#include "vfio/attach_advice.h"

namespace passthru {

// A descriptor that cannot allocate an IOAS is not an iommufd. It is checked before it is kept:
// after a wrong descriptor, the VM may still get the right descriptor.
Result<void> Ioas::adopt(Fd iommufd) {
  if (iommufd_) {
    return fail(EINVAL, "use the iommufd", "the VM already uses another iommufd");
  }
  auto ioas = kernel_.alloc_ioas(iommufd.get());
  if (!ioas) return tl::unexpected(explain_given_iommufd(std::move(ioas).error(), iommufd.get()));
  ioas_ = *ioas;
  allocated_ = true;
  iommufd_ = std::move(iommufd);
  given_ = true;
  return {};
}

Result<void> Ioas::attach(int device, Attachment attachment, const AttachFactsReader& facts) {
  if (listener_ != nullptr) PASSTHRU_TRY(listener_->file_added(device));
  auto attached = attach_here(device, attachment, facts);
  if (!attached) {
    if (listener_ != nullptr) listener_->file_removed(device);
    close();
    return attached;
  }
  ++devices_;
  return {};
}

Result<void> Ioas::prepare(Attachment attachment) {
  if (attachment == Attachment::HandedOver && !given_) {
    auto refused = fail(EINVAL, "take over the device", "its iommufd was not handed over");
    refused.value().advice = "Pass the iommufd of the process that has the device open";
    return refused;
  }
  if (!iommufd_) {
    auto opened = kernel_.open_iommufd();
    if (!opened) return tl::unexpected(explain_iommufd(std::move(opened).error()));
    iommufd_ = std::move(*opened);
  }
  if (!allocated_) {
    ioas_ = PASSTHRU_TRY(kernel_.alloc_ioas(iommufd_.get()));
    allocated_ = true;
  }
  return {};
}

// The kernel binds a descriptor once, and resets the device then. A bound device may move from one
// IOAS to another while it runs.
Result<void> Ioas::attach_here(int device, Attachment attachment, const AttachFactsReader& facts) {
  PASSTHRU_TRY(prepare(attachment));
  if (attachment == Attachment::Own) {
    auto bound = kernel_.bind_iommufd(device, iommufd_.get());
    if (!bound) {
      return tl::unexpected(
          explain_bind(std::move(bound).error(), facts ? facts() : AttachFacts{}));
    }
  }
  auto attached = kernel_.attach_ioas(device, ioas_);
  if (!attached && attachment == Attachment::HandedOver &&
      (attached.error().code == EINVAL || attached.error().code == ENOENT)) {
    return tl::unexpected(
        std::move(attached).error().because("it is not bound to the iommufd that was handed over"));
  }
  if (!attached) return tl::unexpected(explain_ioas(std::move(attached).error()));
  return {};
}

void Ioas::detach(Fd device, Attachment attachment) {
  if (attachment == Attachment::Own) {
    ignore(kernel_.detach_ioas(device.get()), "closing the device detaches it as well");
  }
  if (listener_ != nullptr) listener_->file_removed(device.get());
  device.reset();
  --devices_;
  close();
}

// Ends with the last device, as a container does: the next device gets a new IOAS.
void Ioas::close() {
  if (devices_ != 0) return;
  if (allocated_) {
    ignore(kernel_.destroy_ioas(iommufd_.get(), ioas_),
           "the IOAS ends with its iommufd at the latest");
    allocated_ = false;
  }
  if (!given_) iommufd_.reset();
}

}  // namespace passthru
