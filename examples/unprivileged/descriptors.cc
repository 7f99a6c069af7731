// SPDX-License-Identifier: MIT
#include "descriptors.h"

#include <fcntl.h>

#include <filesystem>
#include <set>
#include <system_error>

#include "must.h"

namespace {

namespace fs = std::filesystem;

std::string open_node(const std::string& path) {
  const int fd = ::open(path.c_str(), O_RDWR);
  must(fd >= 0, "open " + path);
  return std::to_string(fd);
}

// Returns the name of a function's VFIO device, "vfio3", which exists while vfio-pci has it.
std::string cdev_of(const std::string& bdf) {
  std::error_code error;
  for (const auto& entry :
       fs::directory_iterator("/sys/bus/pci/devices/" + bdf + "/vfio-dev", error)) {
    return entry.path().filename();
  }
  refuse(bdf + " has no VFIO device: it is not bound to vfio-pci (run 'passthru bind " + bdf +
         "'), or the kernel lacks CONFIG_VFIO_DEVICE_CDEV (use --group)");
}

std::string group_of(const std::string& bdf) {
  std::error_code error;
  const fs::path link = fs::read_symlink("/sys/bus/pci/devices/" + bdf + "/iommu_group", error);
  if (error) refuse(bdf + " has no IOMMU group: the device does not exist, or the IOMMU is off");
  return link.filename();
}

}  // namespace

std::vector<std::string> open_all(const std::vector<std::string>& devices, bool by_group) {
  std::vector<std::string> words = {"--kvm-fd", open_node("/dev/kvm")};
  if (devices.empty()) return words;
  if (!by_group) {
    std::string iommufd;
    for (const std::string& bdf : devices) {
      std::string device = "fd=" + open_node("/dev/vfio/devices/" + cdev_of(bdf));
      if (iommufd.empty()) iommufd = open_node("/dev/iommu");
      device.append(",iommufd=").append(iommufd);
      words.insert(words.end(), {"--device", device});
    }
    return words;
  }
  const std::string container = open_node("/dev/vfio/vfio");
  std::set<std::string> groups;
  for (const std::string& bdf : devices) {
    std::string device = bdf;
    // A group can be opened only once. Its other devices are given by their addresses alone.
    if (const std::string group = group_of(bdf); groups.insert(group).second) {
      device = "group-fd=" + open_node("/dev/vfio/" + group);
      device.append(",container-fd=").append(container).append(",bdf=").append(bdf);
    }
    words.insert(words.end(), {"--device", device});
  }
  return words;
}
