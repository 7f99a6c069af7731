// SPDX-License-Identifier: MIT
// The calls to the kernel that concern the expansion ROM of an assigned device.
#include <gtest/gtest.h>

#include <string>

#include "tests/unit/device/assigned_fixture.h"
#include "tests/unit/mmap/rom_file.h"

namespace passthru {
namespace {

constexpr uint32_t kRomRegister = 0x30;
constexpr auto kRomIndex = static_cast<uint32_t>(Region::Rom);

class AssignedRom : public AssignedFixture {
 protected:
  /// Opens a device with a ROM, lets its guest look for the ROM, and detaches it.
  void use(const AssignOptions& options) {
    hardware = &plug(FakeSpec::e1000e());
    auto opened = try_open(options);
    ASSERT_TRUE(opened) << opened.error().message();
    device = std::move(*opened);
    device->config_write(kRomRegister, 4, UINT32_MAX);
    device->config_write(kRomRegister, 4, static_cast<uint32_t>(kElsewhere) | 1);
    device->config_write(kCommand, 2, 0x2);
    mmio_read(kElsewhere);
    ASSERT_TRUE(device->reset());
    device.reset();
  }
  size_t infos() const {
    size_t count = 0;
    for (const FakeCall& call : kernel->calls("VFIO_DEVICE_GET_REGION_INFO")) {
      if (call.index == kRomIndex) ++count;
    }
    return count;
  }
  size_t accesses() const {
    size_t count = 0;
    for (const char* name : {"pread", "pwrite", "mmap"}) {
      for (const FakeCall& call : kernel->calls(name)) {
        if (call.offset >> 40 == kRomIndex) ++count;
      }
    }
    return count;
  }
};

TEST_F(AssignedRom, Case30WithoutARomNothingAsksForItOrReadsIt) {
  use({.rom = {.kind = RomChoice::Kind::Off}});
  EXPECT_EQ(infos(), 0U);
  EXPECT_EQ(accesses(), 0U);
}

TEST_F(AssignedRom, Case30WithARomFromAFileNothingAsksForTheDevicesOwn) {
  const RomFile file("\x55\xaa");
  use({.rom = {RomChoice::Kind::File, file.path()}});
  EXPECT_EQ(infos(), 0U);
  EXPECT_EQ(accesses(), 0U);
}

TEST_F(AssignedRom, Case30TheDevicesOwnRomIsReadByDefault) {
  use({});
  EXPECT_EQ(infos(), 1U);
  EXPECT_GT(accesses(), 1U);
}

}  // namespace
}  // namespace passthru
