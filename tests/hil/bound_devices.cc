// SPDX-License-Identifier: MIT
#include "tests/hil/bound_devices.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <linux/pci_regs.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <string_view>

#include "base/fd.h"
#include "inspect/msix_snapshot.h"
#include "pci/capability_list.h"
#include "pci/sysfs.h"

namespace passthru {

DeviceHandle BoundDevice::door() const {
  return {.bdf = bdf, .group = group, .backend = tested_backend(), .cdev = Sysfs().cdev(bdf)};
}

std::string BoundDevice::name() const {
  std::string name = bdf.str();
  const auto separates = [](char c) { return c == ':' || c == '.'; };
  std::replace_if(name.begin(), name.end(), separates, '_');
  return name;
}

bool BoundDevice::has_flr() const {
  const auto function = Sysfs().function(bdf);
  return function &&
         std::count(function->reset_methods.begin(), function->reset_methods.end(), "flr") != 0;
}

void BoundDevice::reset_behind_vfio() const {
  const auto function = Sysfs().function(bdf);
  ASSERT_TRUE(function) << function.error().message();
  const auto express = find_capability(function->config, PCI_CAP_ID_EXP);
  ASSERT_TRUE(express) << bdf.str() << " has no PCI Express capability";
  const Fd config(::open((Sysfs().function_path(bdf) / "config").c_str(), O_RDWR | O_CLOEXEC));
  const off_t at = *express + PCI_EXP_DEVCTL;
  uint16_t control = 0;
  ASSERT_EQ(pread(config.get(), &control, 2, at), 2);
  control |= PCI_EXP_DEVCTL_BCR_FLR;
  ASSERT_EQ(pwrite(config.get(), &control, 2, at), 2);
  usleep(100'000);  // 7.5.3.4: the reset may take that long
}

std::vector<BoundDevice> bound_devices() {
  std::vector<BoundDevice> devices;
  const Sysfs sysfs;
  const auto all = sysfs.functions();
  if (!all) return devices;
  for (const Bdf bdf : *all) {
    const auto function = sysfs.function(bdf);
    if (function && function->driver == "vfio-pci" && function->iommu_group) {
      devices.push_back({bdf, *function->iommu_group});
    }
  }
  return devices;
}

std::vector<BoundDevice> devices_with_flr() {
  std::vector<BoundDevice> devices = bound_devices();
  std::erase_if(devices, [](const BoundDevice& device) { return !device.has_flr(); });
  return devices;
}

std::vector<BoundDevice> devices_by(Backend backend) {
  return tested_backend() == backend ? bound_devices() : std::vector<BoundDevice>{};
}

std::vector<BoundDevice> devices_with_msix() {
  std::vector<BoundDevice> devices = bound_devices();
  std::erase_if(devices, [](const BoundDevice& device) {
    const auto function = Sysfs().function(device.bdf);
    return !function || !msix_layout_of(*function);
  });
  return devices;
}

std::vector<BoundDevice> devices_with_pin() {
  std::vector<BoundDevice> devices = bound_devices();
  std::erase_if(devices, [](const BoundDevice& device) {
    const auto function = Sysfs().function(device.bdf);
    return !function || function->config.size() <= PCI_INTERRUPT_PIN ||
           function->config[PCI_INTERRUPT_PIN] == std::byte{0};
  });
  return devices;
}

}  // namespace passthru
