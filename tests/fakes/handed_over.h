// SPDX-License-Identifier: MIT
// What one VMM hands over to the next, so that it can go on with a device: duplicates of the
// device's descriptors.
#pragma once

#include <fcntl.h>
#include <gtest/gtest.h>

#include <utility>

#include "base/fd.h"
#include "device/assigned_device.h"

namespace passthru {

/// Returns another descriptor of the same file, as another process gets it by SCM_RIGHTS.
inline Fd duplicate(int fd) {
  return Fd(::fcntl(fd, F_DUPFD_CLOEXEC, 0));
}

/// Duplicates the descriptors of `device`. Gives `next` the container or the iommufd, unless it has
/// one, and returns the source of the device.
inline DeviceSource handed_over(AssignedDevice& device, Domain& next) {
  const DeviceDescriptors all = device.descriptors().value();
  DmaSpace& dma = next.dma();
  if (dma.iommu_fd(all.backend) < 0) {
    Fd iommu = duplicate(all.iommu);
    EXPECT_TRUE(all.backend == Backend::Cdev ? dma.use_iommufd(std::move(iommu))
                                             : dma.use_container(std::move(iommu)));
  }
  if (all.backend == Backend::Cdev) return {.cdev = duplicate(all.device)};
  return {.group = duplicate(all.group)};
}

}  // namespace passthru
