// SPDX-License-Identifier: MIT
// KVM's arguments that end in an array: two words, the first of which is the number of entries,
// then the entries. Their structs and request numbers in linux/kvm.h cannot be used from C++: an
// empty struct inside has a size there, which moves the array and changes the number.
#pragma once

#include <sys/ioctl.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <vector>

namespace passthru {

constexpr size_t kKvmTableHeader = 8;

/// Returns the kernel's number for a `request` of linux/kvm.h whose argument is a table.
constexpr unsigned long kvm_table_request(unsigned long request) {
  return (request & ~static_cast<unsigned long>(IOCSIZE_MASK)) | kKvmTableHeader << IOCSIZE_SHIFT;
}

template <class Entry>
class KvmTable {
 public:
  explicit KvmTable(std::span<const Entry> entries) : KvmTable(entries.size()) {
    if (entries.empty()) return;
    std::memcpy(bytes_.data() + kKvmTableHeader, entries.data(), entries.size_bytes());
  }
  /// Makes room for `capacity` entries, which the kernel fills.
  explicit KvmTable(size_t capacity)
      : capacity_(capacity), bytes_(kKvmTableHeader + capacity * sizeof(Entry)) {
    const auto count = static_cast<uint32_t>(capacity);
    std::memcpy(bytes_.data(), &count, sizeof(count));
  }

  void* argument() { return bytes_.data(); }

  [[nodiscard]] std::vector<Entry> entries() const {
    uint32_t count = 0;
    std::memcpy(&count, bytes_.data(), sizeof(count));
    std::vector<Entry> entries(std::min<size_t>(count, capacity_));
    if (entries.empty()) return entries;
    std::memcpy(entries.data(), bytes_.data() + kKvmTableHeader, entries.size() * sizeof(Entry));
    return entries;
  }

 private:
  size_t capacity_;
  std::vector<std::byte> bytes_;
};

}  // namespace passthru
