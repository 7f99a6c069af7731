// SPDX-License-Identifier: MIT
// The kernel's ABI for iommufd and VFIO's cdevs (linux/iommufd.h, linux/vfio.h, since Linux 6.6).
// Debian 12's headers are older. Private to vfio/linux_kernel*.cc.
#pragma once

#include <linux/vfio.h>
#include <sys/ioctl.h>

#include <cstdint>

namespace passthru::abi {

constexpr unsigned long kDestroy = _IO(';', 0x80);
constexpr unsigned long kIoasAlloc = _IO(';', 0x81);
constexpr unsigned long kIoasCopy = _IO(';', 0x83);
constexpr unsigned long kIoasIovaRanges = _IO(';', 0x84);
constexpr unsigned long kIoasMap = _IO(';', 0x85);
constexpr unsigned long kIoasUnmap = _IO(';', 0x86);
constexpr unsigned long kIoasMapFile = _IO(';', 0x8f);  ///< since Linux 6.13

constexpr unsigned long kBindIommufd = _IO(VFIO_TYPE, VFIO_BASE + 18);
constexpr unsigned long kAttachIommufdPt = _IO(VFIO_TYPE, VFIO_BASE + 19);
constexpr unsigned long kDetachIommufdPt = _IO(VFIO_TYPE, VFIO_BASE + 20);

// Each structure starts with its size, which tells the kernel its version.
struct Destroy {
  uint32_t size;
  uint32_t id;
};

struct IoasAlloc {
  uint32_t size;
  uint32_t flags;
  uint32_t ioas;  ///< out
};

struct IoasIovaRanges {
  uint32_t size;
  uint32_t ioas;
  uint32_t count;  ///< in: room; out: ranges
  uint32_t reserved;
  uint64_t ranges;     ///< the address of pairs: first, last
  uint64_t alignment;  ///< out
};
static_assert(sizeof(IoasIovaRanges) == 32);

/// Flags of a mapping or a copy.
constexpr uint32_t kFixedIova = 1U << 0;
constexpr uint32_t kWriteable = 1U << 1;
constexpr uint32_t kReadable = 1U << 2;

struct IoasMap {
  uint32_t size;
  uint32_t flags;
  uint32_t ioas;
  uint32_t reserved;
  uint64_t address;
  uint64_t length;
  uint64_t iova;
};
static_assert(sizeof(IoasMap) == 40);

struct IoasMapFile {
  uint32_t size;
  uint32_t flags;
  uint32_t ioas;
  int32_t fd;
  uint64_t start;  ///< in the file
  uint64_t length;
  uint64_t iova;
};
static_assert(sizeof(IoasMapFile) == 40);

struct IoasCopy {
  uint32_t size;
  uint32_t flags;
  uint32_t to;
  uint32_t from;
  uint64_t length;
  uint64_t to_iova;
  uint64_t from_iova;
};
static_assert(sizeof(IoasCopy) == 40);

struct IoasUnmap {
  uint32_t size;
  uint32_t ioas;
  uint64_t iova;
  uint64_t length;  ///< in: bytes to unmap; out: bytes unmapped
};
static_assert(sizeof(IoasUnmap) == 24);

struct BindIommufd {
  uint32_t argsz;
  uint32_t flags;
  int32_t iommufd;
  uint32_t device_id;  ///< out
};

struct AttachIommufdPt {
  uint32_t argsz;
  uint32_t flags;
  uint32_t page_table;  ///< in: an IOAS; out: the page table that the kernel chose
};

struct DetachIommufdPt {
  uint32_t argsz;
  uint32_t flags;
};

/// For a cdev, VFIO_DEVICE_GET_PCI_HOT_RESET_INFO gives device ids in place of groups.
/// `kHotResetNotOwned` means that the function has another owner or no owner.
constexpr uint32_t kHotResetTellsIds = 1U << 0;
constexpr uint32_t kHotResetNotOwned = UINT32_MAX;

}  // namespace passthru::abi
