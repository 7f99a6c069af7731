// SPDX-License-Identifier: MIT
// The device whose config space the tests read, and short functions for it. For
// config_space_test.cc and config_capabilities_test.cc.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "mmap/config_space.h"
#include "tests/unit/pci/config_image.h"

namespace passthru {

/// A device with a ROM and one BAR of each kind: 0 is 64-bit and prefetchable, 2 is 32-bit, 3 is
/// I/O ports.
class ConfigSpaceTest : public testing::Test {
 protected:
  static constexpr uint32_t kCommand = 0x04;
  static constexpr uint32_t kBar0 = 0x10;
  static constexpr uint32_t kRom = 0x30;
  static constexpr uint32_t kPm = 0x40;
  static constexpr uint32_t kMsi = 0xd0;
  static constexpr uint32_t kExpress = 0x60;
  static constexpr uint32_t kMsix = 0xb0;
  static constexpr uint32_t kAf = 0xc0;
  static constexpr uint32_t kExpressControl = kExpress + 8;
  static constexpr uint16_t kIo = 1;
  static constexpr uint16_t kMemory = 2;
  static constexpr uint16_t kBusMaster = 4;

  ConfigSpaceTest() {
    image->put16(0x00, 0x1b36);
    image->put16(0x02, 0x0010);
    image->put16(0x06, 0x0010);
    image->put8(0x0e, 0x80);  // multifunction
    image->put8(0x0f, 0x80);  // has a self test
    image->put32(0x10, 0xf000000c);
    image->put32(0x14, 0x00000001);
    image->put32(0x18, 0xe0000000);
    image->put32(0x1c, 0x0000c001);
    image->put32(0x30, 0xd0000000);
    image->put8(0x34, kPm);
    image->put8(0x3c, 11);
    image->put8(0x3d, 1);
    image->put_capability(kPm, 0x01, kMsi);
    image->put16(kPm + 2, 0x0003);
    image->put_capability(kMsi, 0x05, kExpress);
    image->put16(kMsi + 2, 0x0186);  // 8 vectors, 64-bit, maskable
    image->put_capability(kExpress, 0x10, kMsix);
    image->put16(kExpress + 2, 0x0002);
    image->put32(kExpress + 4, 0x10000000);  // has a function-level reset
    image->put_capability(kMsix, 0x11, kAf);
    image->put16(kMsix + 2, 64);  // 65 vectors
    image->put32(kMsix + 4, 0x2000);
    image->put32(kMsix + 8, 0x3000);
    image->put_capability(kAf, 0x13, 0);
    image->put8(kAf + 3, 0x03);
    image->put32(0x100, 0x1a010001);  // AER -> 0x1a0
    image->put32(0x1a0, 0x2000000f);  // ATS -> 0x200
    image->put32(0x200, 0x00010003);  // DSN
    image->put32(0x1a4, 0x12345678);  // ATS's registers
    source.registers = image;
    source.size = 4096;
    source.region_sizes = {0x4000, 0, 0x1000, 32, 0, 0, 0x8000};
    source.msix_vectors = 65;
    source.msi_vectors = 8;
  }

  void make(const ConfigOptions& options = {}) {
    auto made = ConfigSpace::create(source, options);
    ASSERT_TRUE(made) << made.error().message();
    space = std::move(*made);
    image->writes.clear();
  }
  /// A write that must cause no request.
  void put(uint32_t offset, unsigned width, uint32_t value) {
    ASSERT_FALSE(space->write(offset, width, value).reset_requested);
  }
  uint32_t sized(uint32_t bar) {
    put(bar, 4, UINT32_MAX);
    return space->read(bar, 4);
  }
  /// The capability ids in the order of the guest's list.
  std::string listed() {
    std::string ids;
    for (uint32_t at = space->read(0x34, 1); at != 0; at = space->read(at + 1, 1)) {
      ids += std::to_string(space->read(at, 1)) + " ";
    }
    return ids;
  }

  std::shared_ptr<ConfigImage> image = std::make_shared<ConfigImage>(4096);
  ConfigSource source;
  std::unique_ptr<ConfigSpace> space;
};

}  // namespace passthru
