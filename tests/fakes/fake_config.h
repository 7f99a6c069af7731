// SPDX-License-Identifier: MIT
// Owns the config space of a fake device: the hardware's registers, and the view of them that VFIO
// gives its user. Only FakeDevice calls it, under its lock.
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
  /// `offset + data.size()` is within the size.
  void read(uint64_t offset, std::span<std::byte> data) const;
  /// The same of a device that does not answer: all ones, but for the bits that the kernel answers
  /// for.
  void read_gone(uint64_t offset, std::span<std::byte> data) const;

  struct Written {
    bool command = false;  ///< COMMAND was written, with memory decode on
    bool reset = false;    ///< Initiate Function Level Reset was set
  };
  Written write(uint64_t offset, std::span<const std::byte> data);
  /// The same to a device that does not answer: what the kernel remembers is all that changes.
  void write_gone(uint64_t offset, std::span<const std::byte> data);

  /// Whether VFIO thinks that the user has enabled memory decode, in D0: otherwise accesses are
  /// EIO.
  [[nodiscard]] bool memory_enabled() const;
  /// Whether the hardware decodes memory.
  [[nodiscard]] bool decodes_memory() const;

  [[nodiscard]] uint16_t msix_control() const { return msix_control_; }
  void set_msix_control(uint16_t value) { msix_control_ = value; }

  /// The hardware loses COMMAND and MSI-X control; what VFIO remembers stays.
  void backdoor_reset();

 private:
  void put(size_t offset, unsigned width, uint64_t value, uint64_t writable = 0);
  [[nodiscard]] uint16_t word(size_t offset) const;
  void program_command();
  /// The kernel answers for these bits itself.
  void answer(size_t offset, unsigned width, uint64_t bits);
  void answer_itself(const FakeSpec& spec);
  void put_header(const FakeSpec& spec);
  void put_bars(const FakeSpec& spec);
  void put_capabilities(const FakeSpec& spec);

  std::vector<uint8_t>
      bytes_;  ///< what VFIO remembers: virtual registers, and COMMAND as last written
  std::vector<uint8_t> writable_;  ///< by bit
  std::vector<uint8_t> answered_;  ///< by the kernel and not by the device; by bit
  bool has_msix_ = false;
  bool has_express_ = false;
  bool virtual_function_ = false;
  uint16_t command_ = 0;  ///< the hardware's
  uint16_t msix_control_ = 0;
};

}  // namespace passthru
