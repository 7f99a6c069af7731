// SPDX-License-Identifier: MIT
// The config space of a fake device: the hardware's registers, and the view that VFIO gives its
// user. Only FakeDevice calls it, with its lock held.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "tests/fakes/fake_spec.h"

namespace passthru {

class FakeConfig {
 public:
  explicit FakeConfig(const FakeSpec& spec);

  [[nodiscard]] size_t size() const { return bytes_.size(); }
  /// Requires that `offset + data.size()` is within the size.
  void read(uint64_t offset, std::span<std::byte> data) const;
  /// Reads from a device that does not answer: all ones, except the bits that the kernel answers
  /// for.
  void read_gone(uint64_t offset, std::span<std::byte> data) const;

  struct Written {
    bool command = false;  ///< COMMAND was written, with memory decode on
    bool reset = false;    ///< Initiate Function Level Reset was set
  };
  Written write(uint64_t offset, std::span<const std::byte> data);
  /// Writes to a device that does not answer: only the kernel's own copies change.
  void write_gone(uint64_t offset, std::span<const std::byte> data);

  /// Returns whether VFIO considers memory decode enabled and the device in D0. Otherwise accesses
  /// fail with EIO.
  [[nodiscard]] bool memory_enabled() const;
  /// Returns whether the hardware decodes memory.
  [[nodiscard]] bool decodes_memory() const;

  [[nodiscard]] uint16_t msix_control() const { return msix_control_; }
  void set_msix_control(uint16_t value) { msix_control_ = value; }

  /// Sets the status and severity of uncorrectable errors (AER).
  void record_errors(uint32_t status, uint32_t severity);
  /// Clears the hardware's COMMAND and MSI-X control; VFIO's copies stay.
  void backdoor_reset();

 private:
  void put(size_t offset, unsigned width, uint64_t value, uint64_t writable = 0);
  [[nodiscard]] uint16_t word(size_t offset) const;
  void program_command();
  /// Marks the bits that the kernel answers for itself.
  void answer(size_t offset, unsigned width, uint64_t bits);
  void answer_itself(const FakeSpec& spec);
  void put_header(const FakeSpec& spec);
  void put_bars(const FakeSpec& spec);
  void put_capabilities(const FakeSpec& spec);

  std::vector<uint8_t> bytes_;  ///< VFIO's copies: virtual registers, and COMMAND as last written
  std::vector<uint8_t> writable_;  ///< one mask per byte
  std::vector<uint8_t> answered_;  ///< bits that the kernel answers for, one mask per byte
  bool has_msix_ = false;
  bool has_express_ = false;
  bool virtual_function_ = false;
  uint16_t command_ = 0;  ///< the hardware's copy
  uint16_t msix_control_ = 0;
};

}  // namespace passthru
