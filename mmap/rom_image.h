// SPDX-License-Identifier: MIT
// Owns the content of an expansion ROM that comes from a file instead of the device. The device
// reads it once, when it is opened, and lays it over its ROM BAR.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "base/result.h"
#include "mmap/access.h"

namespace passthru {

/// Answers a ROM's window: the bytes of the file, behind them all ones. Immutable, any thread.
class RomImage final : public AccessTarget {
 public:
  /// The most that an expansion ROM BAR can be (PCI 3.0, 6.2.5.2).
  static constexpr size_t kMaxSize = size_t{16} << 20;

  /// Reads `file`. Errors name it: EINVAL if it is empty, EFBIG beyond `kMaxSize`, or the errno of
  /// open(2) or read(2).
  static Result<std::shared_ptr<RomImage>> load(const std::string& file);

  /// Bytes of the file.
  [[nodiscard]] size_t size() const { return content_.size(); }

  void read(uint64_t offset, std::span<std::byte> data) override;
  void write(uint64_t /*offset*/, std::span<const std::byte> /*data*/) override {}

 private:
  explicit RomImage(std::string content) : content_(std::move(content)) {}
  const std::string content_;
};

}  // namespace passthru
