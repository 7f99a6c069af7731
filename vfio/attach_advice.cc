// SPDX-License-Identifier: MIT
#include "vfio/attach_advice.h"

#include <fmt/format.h>

namespace passthru {
namespace {

const char* module_of(Backend backend) {
  return backend == Backend::Cdev ? "iommufd" : "vfio_iommu_type1";
}

std::string parameter(Backend backend) {
  return fmt::format("/sys/module/{}/parameters/allow_unsafe_interrupts", module_of(backend));
}

/// Returns what to do if interrupt remapping is missing.
std::string enable_remapping(Backend backend) {
  return fmt::format(
      "Enable it in the firmware (VT-d or AMD-Vi with interrupt remapping) and boot Linux "
      "without intremap=off. If you trust the guest, write Y to {} and use "
      "--allow-unsafe-interrupts",
      parameter(backend));
}

/// Explains the errno of an ioctl on a descriptor that is not open or is of another kind.
Error not_of_that_kind(Error error, int fd, const char* kind, const char* node) {
  if (error.code != EBADF && error.code != EINVAL && error.code != ENOTTY) return error;
  return std::move(error)
      .because(fmt::format("descriptor {} is not {}", fd, kind))
      .advise(fmt::format("Open {} and pass that descriptor", node));
}

}  // namespace

Error explain_cgroup(Error error, const std::string& node) {
  return std::move(error)
      .because("the device cgroup of this process does not allow it")
      .advise(fmt::format("Allow it where the container or the service is defined; for systemd, "
                          "DeviceAllow={} rw",
                          node));
}

Error explain_container(Error error) {
  switch (error.code) {
    case ENOENT:
    case ENODEV:
      return std::move(error).because("VFIO is not loaded").advise("Load it: modprobe vfio-pci");
    case EPERM:
      return explain_cgroup(std::move(error), "/dev/vfio/vfio");
    case EACCES:
      return std::move(error)
          .because("permission denied")
          .advise("Run as root, or give this user read and write access to /dev/vfio/vfio");
    default:
      return error;
  }
}

Error explain_group(Error error, uint32_t group) {
  switch (error.code) {
    case ENOENT:
      return std::move(error)
          .because(fmt::format("no device of group {} is bound to vfio-pci", group))
          .advise(
              "Load the driver with 'modprobe vfio-pci', then bind the device: 'passthru bind "
              "BDF'");
    case EBUSY:
      return std::move(error)
          .because(fmt::format("another process uses group {}", group))
          .advise(fmt::format("'fuser -v /dev/vfio/{}' shows the process", group));
    case EPERM:
      return explain_cgroup(std::move(error), fmt::format("/dev/vfio/{}", group));
    case EACCES:
      return std::move(error)
          .because("permission denied")
          .advise(fmt::format("Run as root, or give this user the group: chown USER /dev/vfio/{}",
                              group));
    default:
      return error;
  }
}

Error group_not_viable(uint32_t group) {
  return Error{
      .code = EPERM,
      .operation = "VFIO_GROUP_GET_STATUS",
      .cause = fmt::format(
          "group {} is not viable: a host driver is bound to a device of the group", group),
      .advice =
          "'passthru list' shows the devices. Bind them to vfio-pci, or unbind their drivers"};
}

// Older kernels say EPERM when they attach the device, newer kernels EINVAL when they claim it.
Error memory_reserved(Error error, const std::vector<IovaRange>& regions) {
  error.code = EPERM;
  return std::move(error)
      .because(
          fmt::format("firmware reserves the memory {} for a device of its IOMMU group, so the "
                      "kernel assigns it to no guest",
                      to_string(regions)))
      .advise(
          "Turn off what uses the device in the firmware's settings, or try another slot; the "
          "vendor of the machine can say what that memory is for");
}

Error explain_iommu(Error error, uint32_t group, const AttachFacts& facts) {
  const bool claims = error.code == EINVAL && error.operation == "VFIO_GROUP_SET_CONTAINER";
  if (!facts.direct_regions.empty() && (error.code == EPERM || claims)) {
    return memory_reserved(std::move(error), facts.direct_regions);
  }
  if (error.code != EPERM) return error;
  if (facts.interrupt_remapping.value_or(false)) {
    return std::move(error)
        .because(fmt::format("the kernel refuses group {}, and not for lack of interrupt remapping",
                             group))
        .advise("'dmesg' shows the reason that the kernel gives");
  }
  return std::move(error)
      .because(fmt::format("the IOMMU of group {} has no interrupt remapping: a guest could forge "
                           "interrupts of the host",
                           group))
      .advise(enable_remapping(Backend::Group));
}

Error explain_iommufd(Error error) {
  switch (error.code) {
    case ENOENT:
    case ENODEV:
      return std::move(error)
          .because("this kernel has no iommufd, or has not loaded it")
          .advise("Load it with 'modprobe iommufd', or use the group: --backend=group");
    case EPERM:
      return explain_cgroup(std::move(error), "/dev/iommu");
    case EACCES:
      return std::move(error)
          .because("permission denied")
          .advise("Run as root, or give this user read and write access to /dev/iommu");
    default:
      return error;
  }
}

Error explain_cdev(Error error, const std::string& name) {
  switch (error.code) {
    case ENOENT:
    case ENODEV:
    case ENXIO:
      return std::move(error)
          .because("the device is no longer bound to vfio-pci")
          .advise("Bind it: 'passthru bind BDF'");
    case EPERM:
      return explain_cgroup(std::move(error), "/dev/vfio/devices/" + name);
    case EACCES:
      return std::move(error)
          .because("permission denied")
          .advise(fmt::format(
              "Run as root, or give this user the device: chown USER /dev/vfio/devices/{}", name));
    default:
      return error;
  }
}

Error explain_given_iommufd(Error error, int fd) {
  return not_of_that_kind(std::move(error), fd, "an iommufd", "/dev/iommu");
}

Error explain_given_container(Error error, int fd) {
  return not_of_that_kind(std::move(error), fd, "a VFIO container", "/dev/vfio/vfio");
}

Error explain_bind(Error error, const AttachFacts& facts) {
  switch (error.code) {
    case EINVAL:  // one errno for four causes; a device in use is the likely cause
      if (!facts.direct_regions.empty()) {
        return memory_reserved(std::move(error), facts.direct_regions);
      }
      error.code = EBUSY;
      return std::move(error)
          .because(
              "another process uses the device, or its descriptor is already bound to an iommufd, "
              "or its IOMMU cannot keep caches coherent")
          .advise(
              "'fuser -v /dev/vfio/devices/*' shows the processes that have it open. A descriptor "
              "that you pass must not be bound yet");
    case EBUSY:
      return std::move(error)
          .because("another process uses the device or its IOMMU group")
          .advise("'fuser -v /dev/vfio/* /dev/vfio/devices/*' shows the process");
    case EPERM:
      if (facts.interrupt_remapping.value_or(false)) {
        return std::move(error)
            .because("a device of its IOMMU group has another owner")
            .advise("'fuser -v /dev/vfio/* /dev/vfio/devices/*' shows the process");
      }
      return std::move(error)
          .because(
              "its IOMMU has no interrupt remapping (a guest could forge interrupts of the "
              "host), or a device of its IOMMU group has another owner")
          .advise(enable_remapping(Backend::Cdev) +
                  ". 'passthru doctor BDF' shows which of the two it is");
    default:
      return error;
  }
}

Error explain_ioas(Error error) {
  if (error.code != EADDRINUSE) return error;
  return std::move(error)
      .because("guest memory overlaps addresses that this device's IOMMU reserves")
      .advise(
          "Move the guest's memory. The file reserved_regions of the device's IOMMU group in sysfs "
          "lists the reserved addresses");
}

Error interrupts_unsafe(Backend backend, std::string what) {
  return Error{
      .code = EPERM,
      .operation = std::move(what),
      .cause = fmt::format("{}{} has allow_unsafe_interrupts set, so the host may lack interrupt "
                           "remapping, which keeps a guest from forging interrupts",
                           module_of(backend),
                           backend == Backend::Group ? " (or iommufd in its place)" : ""),
      .advice = fmt::format("If the host has interrupt remapping, write N to {}. If you trust the "
                            "guest, use --allow-unsafe-interrupts",
                            parameter(backend))};
}

Error reset_takes(Bdf function, const std::string& where) {
  return Error{.code = EPERM, .operation = "VFIO_DEVICE_PCI_HOT_RESET"}
      .because(fmt::format("a reset of its slot or bus would also reset {}{}, which is not "
                           "assigned to this VM",
                           function.str(), where))
      .advise("Assign the devices of one slot or bus to the same VM");
}

Error explain_address(Error error, const IovaRange& memory, const IovaRange& gap) {
  const std::string what = fmt::format("memory from {:#x} to {:#x}", memory.first, memory.last);
  if (gap.last == UINT64_MAX) {
    return std::move(error)
        .because(fmt::format("{} ends beyond the addresses that devices reach: {:#x} is the first "
                             "that the IOMMU cannot translate",
                             what, gap.first))
        .advise("Give the guest less memory");
  }
  return std::move(error)
      .because(fmt::format("{} includes addresses that the IOMMU reserves: {:#x} to {:#x}", what,
                           gap.first, gap.last))
      .advise(
          "Give the guest less memory, or lay it out around these addresses. "
          "/sys/kernel/iommu_groups/*/reserved_regions shows their kind");
}

Error explain_mapping(Error error, uint64_t needed, uint64_t limit) {
  if (error.code == ENOSPC) {
    return std::move(error)
        .because("the VM's container has as many mappings as it may have")
        .advise(
            "Raise the limit, then start the VM again: "
            "/sys/module/vfio_iommu_type1/parameters/dma_entry_limit");
  }
  if (error.code != ENOMEM) return error;
  if (limit == UINT64_MAX) {
    return std::move(error)
        .because(fmt::format("the host cannot keep {} bytes of guest memory in RAM", needed))
        .advise("Give the guest less memory, or free memory of the host");
  }
  return std::move(error)
      .because(fmt::format(
          "guest memory must be locked for DMA: {} bytes are needed, RLIMIT_MEMLOCK is {} bytes",
          needed, limit))
      .advise(
          fmt::format("Raise it: 'ulimit -l {}' as root, or LimitMEMLOCK= in the service's unit",
                      needed / 1024 + (needed % 1024 != 0 ? 1 : 0)));
}

}  // namespace passthru
