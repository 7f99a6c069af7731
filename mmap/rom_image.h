// SPDX-License-Identifier: MIT
// The content of an expansion ROM that comes from a file instead of the device. The device reads
// the file once, when it is opened, and overlays its ROM BAR with it.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "base/result.h"
#include "mmap/access.h"

namespace passthru {

/// Answers accesses to a ROM's window with the bytes of the file, followed by all ones. Immutable;
/// thread-safe.
class RomImage final : public AccessTarget {
 public:
  /// The largest size of an expansion ROM BAR (PCI 3.0, 6.2.5.2).
  static constexpr size_t kMaxSize = size_t{16} << 20;

  /// Reads `file`. Errors name the file:
  /// - EINVAL: the file is empty.
  /// - EFBIG: the file is larger than `kMaxSize`.
  /// - the errno of open(2) or read(2).
  static Result<std::shared_ptr<RomImage>> load(const std::string& file);

  /// Returns the size of the file in bytes.
  [[nodiscard]] size_t size() const { return content_.size(); }

  void read(uint64_t offset, std::span<std::byte> data) override;
  void write(uint64_t /*offset*/, std::span<const std::byte> /*data*/) override {}

 private:
  explicit RomImage(std::string content) : content_(std::move(content)) {}
  const std::string content_;
};

}  // namespace passthru
