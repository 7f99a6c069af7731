// SPDX-License-Identifier: MIT
// The guest's accesses to the MSI-X table and the pending bits. Both are virtual: the guest never
// reaches the physical ones.
#include <algorithm>

#include "irq/msix.h"

namespace passthru {

class Msix::TableTarget : public AccessTarget {
 public:
  explicit TableTarget(Msix& msix) : msix_(msix) {}

  void read(uint64_t offset, std::span<std::byte> data) override {
    MutexLock lock(msix_.vectors_mutex_);
    msix_.table_.read(offset, data);
  }

  void write(uint64_t offset, std::span<const std::byte> data) override {
    MutexLock lock(msix_.vectors_mutex_);
    msix_.apply(msix_.table_.write(offset, data));
  }

 private:
  Msix& msix_;
};

class Msix::PbaTarget : public AccessTarget {
 public:
  explicit PbaTarget(Msix& msix) : msix_(msix) {}

  void read(uint64_t offset, std::span<std::byte> data) override {
    MutexLock lock(msix_.vectors_mutex_);
    const uint64_t size = uint64_t{(msix_.table_.vectors() + 63) / 64} * 8;
    uint64_t word = ~uint64_t{0};
    uint64_t bits = 0;
    for (std::byte& byte : data) {
      if (offset >= size) {
        byte = std::byte{0xff};
      } else {
        if (offset / 8 != word) {
          word = offset / 8;
          bits = msix_.pending_word(static_cast<unsigned>(word));
        }
        byte = static_cast<std::byte>(bits >> (offset % 8 * 8) & 0xff);
      }
      ++offset;
    }
  }

  // Pending bits are read-only (PCI 3.0, 6.8.2.10).
  void write(uint64_t /*offset*/, std::span<const std::byte> /*data*/) override {}

 private:
  Msix& msix_;
};

std::shared_ptr<AccessTarget> Msix::table_target() {
  return std::make_shared<TableTarget>(*this);
}

std::shared_ptr<AccessTarget> Msix::pba_target() {
  return std::make_shared<PbaTarget>(*this);
}

}  // namespace passthru
