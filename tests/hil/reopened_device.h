// SPDX-License-Identifier: MIT
// Access to a device's MSI-X table through sysfs, past VFIO and the code under test: tests read the
// table and damage it.
#pragma once

#include <fcntl.h>
#include <sys/mman.h>

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>

#include "base/fd.h"
#include "irq/msix_table.h"
#include "pci/msix_layout.h"
#include "pci/sysfs.h"

namespace passthru {

class SecondDoor {
 public:
  SecondDoor(Bdf bdf, const MsixLayout& layout) {
    const auto path = Sysfs().function_path(bdf) / ("resource" + std::to_string(layout.table_bar));
    file_ = Fd(::open(path.c_str(), O_RDWR | O_CLOEXEC));
    size_ = std::filesystem::file_size(path);
    void* mapped = ::mmap(nullptr, size_, PROT_READ | PROT_WRITE, MAP_SHARED, file_.get(), 0);
    if (mapped == MAP_FAILED) return;
    mapped_ = static_cast<std::byte*>(mapped);
    table_ = reinterpret_cast<volatile uint32_t*>(mapped_ + layout.table_offset);
  }
  ~SecondDoor() {
    if (mapped_ != nullptr) ::munmap(mapped_, size_);
  }
  SecondDoor(const SecondDoor&) = delete;
  SecondDoor& operator=(const SecondDoor&) = delete;

  /// Returns whether the BAR is mapped. Kernels with CONFIG_IO_STRICT_DEVMEM refuse to map a BAR
  /// that is in use, unless they were booted with iomem=relaxed.
  [[nodiscard]] bool open() const { return mapped_ != nullptr; }
  [[nodiscard]] MsixEntry entry(unsigned vector) const {
    const volatile uint32_t* at = table_ + vector * 4;
    return {at[0], at[1], at[2], at[3]};
  }
  void set(unsigned vector, const MsixEntry& entry) {
    volatile uint32_t* at = table_ + vector * 4;
    at[0] = entry.address_low;
    at[1] = entry.address_high;
    at[2] = entry.data;
    at[3] = entry.control;
  }
  void zero(unsigned vector) { set(vector, {0, 0, 0, 0}); }

 private:
  Fd file_;
  uint64_t size_ = 0;
  std::byte* mapped_ = nullptr;
  volatile uint32_t* table_ = nullptr;
};

}  // namespace passthru
