// SPDX-License-Identifier: MIT
// What a user may ask of a device when it is assigned, and what its guest then finds; power states;
// the end of a device while vCPUs are at work.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <cstring>
#include <thread>

#include "host/assigned_device.h"
#include "tests/fakes/fake_host.h"
#include "tests/fakes/fake_kernel.h"
#include "tests/fakes/sysfs_tree.h"
#include "tests/unit/rom_file.h"

namespace passthru {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

constexpr uint32_t kCommand = 0x04;
constexpr uint32_t kBar0 = 0x10;
constexpr uint32_t kRom = 0x30;
constexpr uint32_t kPowerControl = FakeCapability::kPowerManagement + 4;
constexpr uint32_t kMsixControl = FakeCapability::kMsix + 2;
constexpr uint64_t kWindow = 0xc000'0000;
constexpr uint64_t kElsewhere = 0xd000'0000;

class AssignOptionsTest : public ::testing::Test {
 protected:
  Result<std::unique_ptr<AssignedDevice>> try_open(const FakeSpec& spec, AssignOptions options) {
    if (hardware == nullptr) {
      const std::string bdf = spec.bdf.str();
      sysfs.add({.bdf = bdf.c_str(), .driver = "vfio-pci", .group = spec.group, .vfio_dev = true});
      hardware = &kernel->add(spec);
      domain = std::make_unique<Domain>(kernel, host, sysfs.sysfs());
    }
    options.device = spec.bdf;
    options.guest_address = {.device = 5};
    return AssignedDevice::open(*domain, options);
  }
  void open(const FakeSpec& spec, const AssignOptions& options = {}) {
    auto opened = try_open(spec, options);
    ASSERT_TRUE(opened) << opened.error().message();
    device = std::move(*opened);
  }
  /// A 32-bit BAR, or the lower half of one.
  void place(unsigned bar, uint64_t address) {
    device->config_write(kBar0 + 4 * bar, 4, static_cast<uint32_t>(address));
    device->config_write(kCommand, 2, 0x6);
  }
  uint32_t sized(uint32_t reg) {
    device->config_write(reg, 4, UINT32_MAX);
    return device->config_read(reg, 4);
  }
  uint32_t mmio_read(uint64_t address) {
    uint32_t value = 0;
    domain->mmio().read(address, std::as_writable_bytes(std::span{&value, 1}));
    return value;
  }
  void mmio_write(uint64_t address, uint32_t value) {
    domain->mmio().write(address, std::as_bytes(std::span{&value, 1}));
  }
  void enable_vector(uint64_t table, unsigned vector) {
    const uint64_t entry = table + uint64_t{vector} * 16;
    mmio_write(entry, 0xfee0'0000);
    mmio_write(entry + 4, 0);
    mmio_write(entry + 8, 0x40 + vector);
    mmio_write(entry + 12, 0);
  }
  [[nodiscard]] bool mapped(uint64_t address) const {
    for (const GuestMapping& each : host.mappings()) {
      if (address >= each.address && address - each.address < each.size) return true;
    }
    return false;
  }

  SysfsTree sysfs;
  std::shared_ptr<FakeKernel> kernel = std::make_shared<FakeKernel>();
  FakeHost host{*kernel};
  FakeDevice* hardware = nullptr;
  std::unique_ptr<Domain> domain;
  std::unique_ptr<AssignedDevice> device;
};

TEST_F(AssignOptionsTest, ABarThatIsNotToBeMappedWorksByExits) {
  open(FakeSpec::e1000e(), {.unmapped_bars = 0b10});
  place(0, kWindow);
  place(1, kElsewhere);
  EXPECT_TRUE(mapped(kWindow));
  EXPECT_FALSE(mapped(kElsewhere));
  mmio_write(kElsewhere + 0x10, 0x1234'5678);
  EXPECT_EQ(mmio_read(kElsewhere + 0x10), 0x1234'5678U);
  EXPECT_EQ(hardware->bar(1)[0x10], std::byte{0x78});
}

TEST_F(AssignOptionsTest, MsixInAFreeBarDeliversAndFreesThePageOfThePendingBits) {
  open(FakeSpec::nvme(), {.msix = {.kind = MsixChoice::Kind::Bar, .bar = 4}});
  EXPECT_EQ(device->config_read(FakeCapability::kMsix + 4, 4), 4U);
  place(0, kWindow);
  place(4, kElsewhere);
  EXPECT_TRUE(mapped(kWindow + 0x1000));
  EXPECT_FALSE(mapped(kWindow + 0x2000)) << "the physical table";
  EXPECT_TRUE(mapped(kWindow + 0x3000)) << "the page of the physical pending bits";
  EXPECT_FALSE(mapped(kElsewhere)) << "the virtual table";
  device->config_write(kMsixControl, 2, 0x8000);
  enable_vector(kElsewhere, 64);
  EXPECT_EQ(hardware->fire(64), Fired::Delivered);
  EXPECT_THAT(host.delivered(), ElementsAre(MsiMessage{0xfee0'0000, 0x80}));
}

TEST_F(AssignOptionsTest, WhereThePhysicalTableIsNobodyAnswersAndItsNeighboursDo) {
  open(FakeSpec::xhci(), {.msix = {.kind = MsixChoice::Kind::Bar, .bar = 0}});
  EXPECT_EQ(sized(kBar0), 0xffff'8004U) << "twice as large";
  place(0, kWindow);
  device->config_write(kBar0 + 4, 4, 0);
  device->config_write(kMsixControl, 2, 0x8000);
  enable_vector(kWindow + 0x4000, 3);
  const PhysicalEntry before = hardware->entry(3);
  EXPECT_EQ(before, hardware->host_message(3));
  EXPECT_FALSE(mapped(kWindow + 0x3000)) << "though the guest's table is elsewhere";
  mmio_write(kWindow + 0x3000 + 3 * 16, 0);
  EXPECT_EQ(hardware->entry(3), before);
  EXPECT_EQ(mmio_read(kWindow + 0x3000 + 3 * 16), UINT32_MAX);
  EXPECT_EQ(mmio_read(kWindow + 0x4000 + 3 * 16 + 8), 0x43U);
  mmio_write(kWindow + 0x3400, 0x1122'3344);
  EXPECT_EQ(hardware->bar(0)[0x3400], std::byte{0x44}) << "a register beside the table";
  EXPECT_EQ(mmio_read(kWindow + 0x7ff0), UINT32_MAX) << "nothing is behind the upper half";
  EXPECT_EQ(hardware->fire(3), Fired::Delivered);
}

TEST_F(AssignOptionsTest, MsixThatCannotBeThereIsRefusedWithWhatCan) {
  const auto refused =
      try_open(FakeSpec::e1000e(), {.msix = {.kind = MsixChoice::Kind::Bar, .bar = 2}});
  ASSERT_FALSE(refused);
  EXPECT_THAT(refused.error().message(), HasSubstr("0000:00:03.0"));
  EXPECT_THAT(refused.error().message(), HasSubstr("bar4"));
  EXPECT_TRUE(kernel->nothing_leaked());
}

TEST_F(AssignOptionsTest, TheDevicesOwnRomIsShownWhileItsEnableBitAndMemoryDecodeAreOn) {
  open(FakeSpec::e1000e());
  EXPECT_EQ(sized(kRom), 0xfffc'0001U);
  device->config_write(kRom, 4, static_cast<uint32_t>(kElsewhere) | 1);
  EXPECT_EQ(mmio_read(kElsewhere), UINT32_MAX) << "no memory decode";
  device->config_write(kCommand, 2, 0x2);
  EXPECT_EQ(mmio_read(kElsewhere), 0x5a5a'5a5aU);
  device->config_write(kRom, 4, static_cast<uint32_t>(kElsewhere));
  EXPECT_EQ(mmio_read(kElsewhere), UINT32_MAX);
}

TEST_F(AssignOptionsTest, ARomThatIsOffOrEmptyOrUnreadableIsAbsent) {
  FakeSpec unreadable = FakeSpec::e1000e();
  unreadable.rom_readable = false;
  open(unreadable);
  EXPECT_EQ(sized(kRom), 0U);
  device.reset();
  const RomFile file("\x55\xaa");
  open(unreadable, {.rom = {RomChoice::Kind::File, file.path()}});
  EXPECT_EQ(sized(kRom), 0xffff'f801U) << "a file needs nothing of the device's";
  device.reset();
  open(unreadable, {.rom = {.kind = RomChoice::Kind::Off}});
  EXPECT_EQ(sized(kRom), 0U);
}

TEST_F(AssignOptionsTest, ARomFromAFileReplacesTheDevicesWhole) {
  const RomFile file(std::string("\x55\xaa", 2) + std::string(0x1000, 'r'));
  open(FakeSpec::e1000e(), {.rom = {RomChoice::Kind::File, file.path()}});
  EXPECT_EQ(sized(kRom), 0xffff'e001U) << "rounded up to a power of two";
  device->config_write(kRom, 4, static_cast<uint32_t>(kElsewhere) | 1);
  device->config_write(kCommand, 2, 0x2);
  EXPECT_EQ(mmio_read(kElsewhere), 0x7272'aa55U);
  EXPECT_EQ(mmio_read(kElsewhere + 0x1000), 0xffff'7272U);
  EXPECT_EQ(mmio_read(kElsewhere + 0x1ffc), UINT32_MAX);
}

TEST_F(AssignOptionsTest, ARomFileThatCannotBeReadIsRefusedBeforeTheDeviceIsOpened) {
  const auto refused = try_open(FakeSpec::nvme(), {.rom = {RomChoice::Kind::File, "no/such.rom"}});
  ASSERT_FALSE(refused);
  EXPECT_THAT(refused.error().message(), HasSubstr("no/such.rom"));
  EXPECT_THAT(kernel->calls(), IsEmpty());
}

TEST_F(AssignOptionsTest, MsiThatFiresWhileMaskedIsPendingUntilItIsUnmasked) {
  FakeSpec spec = FakeSpec::nvme();
  spec.msix = {};
  spec.msi_vectors = 4;
  spec.msi_maskable = true;
  open(spec);
  constexpr uint32_t kMsi = FakeCapability::kMsi;
  constexpr uint32_t kMask = kMsi + 0x10;
  constexpr uint32_t kPending = kMsi + 0x14;
  device->config_write(kMsi + 4, 4, 0xfee0'0000);
  device->config_write(kMsi + 12, 2, 0x40);
  device->config_write(kMsi + 2, 2, 0x21);  // 4 messages, enabled
  EXPECT_EQ(hardware->fire(2), Fired::Delivered);
  EXPECT_THAT(host.delivered(), ElementsAre(MsiMessage{0xfee0'0000, 0x42}));
  device->config_write(kMask, 4, 0x4);
  hardware->fire(2);
  EXPECT_THAT(host.delivered(), IsEmpty());
  EXPECT_EQ(device->config_read(kPending, 4), 0x4U);
  EXPECT_EQ(device->config_read(kPending, 1), 0x4U);
  device->config_write(kMask, 4, 0);
  EXPECT_THAT(host.delivered(), ElementsAre(MsiMessage{0xfee0'0000, 0x42}));
  EXPECT_EQ(device->config_read(kPending, 4), 0U);
}

TEST_F(AssignOptionsTest, InD3HotBarsAndInterruptsAreGoneAndInD0TheyAreBack) {
  open(FakeSpec::nvme());
  place(0, kWindow);
  device->config_write(kMsixControl, 2, 0x8000);
  enable_vector(kWindow + 0x2000, 1);
  device->config_write(kPowerControl, 2, 3);
  EXPECT_THAT(host.mappings(), IsEmpty());
  EXPECT_EQ(mmio_read(kWindow + 0x2000), UINT32_MAX);
  hardware->fire(1);
  EXPECT_THAT(host.delivered(), IsEmpty()) << "a sleeping function signals nothing";
  EXPECT_EQ(device->config_read(kMsixControl, 2) & 0xc000, 0x8000U)
      << "the guest's mask is not ours";
  device->config_write(kPowerControl, 2, 0);
  EXPECT_THAT(host.mappings(), SizeIs(1));
  EXPECT_EQ(mmio_read(kWindow + 0x2000 + 16 + 8), 0x41U);
  EXPECT_THAT(host.delivered(), ElementsAre(MsiMessage{0xfee0'0000, 0x41})) << "once";
  EXPECT_EQ(hardware->fire(1), Fired::Delivered);
  EXPECT_THAT(host.delivered(), SizeIs(1));
}

TEST_F(AssignOptionsTest, IntxLeavesInD3HotAndComesBackWithItsLevel) {
  open(FakeSpec::nvme());
  device->config_write(kPowerControl, 2, 3);
  EXPECT_FALSE(host.intx_armed());
  hardware->set_intx(true);
  device->config_write(kMsixControl, 2, 0x8000);
  device->config_write(kMsixControl, 2, 0);
  EXPECT_FALSE(host.intx_armed()) << "whatever is written meanwhile";
  device->config_write(kPowerControl, 2, 0);
  EXPECT_TRUE(host.intx_delivered());
}

TEST_F(AssignOptionsTest, AResetInD3HotIsPowerOn) {
  open(FakeSpec::nvme());
  device->config_write(kPowerControl, 2, 3);
  ASSERT_TRUE(device->reset());
  EXPECT_TRUE(host.intx_armed());
  place(0, kWindow);
  device->config_write(kMsixControl, 2, 0x8000);
  enable_vector(kWindow + 0x2000, 0);
  EXPECT_EQ(hardware->fire(0), Fired::Delivered);
}

/// Config space through a window, as a VMM's ECAM: one function, until it is taken off.
class EcamOfOne : public AccessTarget {
 public:
  void read(uint64_t offset, std::span<std::byte> data) override {
    uint32_t value = UINT32_MAX;
    if (AssignedDevice* found = function.load()) {
      value = found->config_read(static_cast<uint32_t>(offset), 4);
    }
    std::memcpy(data.data(), &value, data.size());
  }
  void write(uint64_t offset, std::span<const std::byte> data) override {
    uint32_t value = 0;
    std::memcpy(&value, data.data(), data.size());
    if (AssignedDevice* found = function.load()) {
      found->config_write(static_cast<uint32_t>(offset), 4, value);
    }
  }
  std::atomic<AssignedDevice*> function{};
};

TEST_F(AssignOptionsTest, ADeviceThatIsOffTheBusGoesWhileVcpusAreAtWork) {
  constexpr uint64_t kEcam = 0xe000'0000;
  open(FakeSpec::nvme());
  auto ecam = std::make_shared<EcamOfOne>();
  ecam->function = device.get();
  ASSERT_TRUE(domain->mmio().commit({.add = {{.base = kEcam, .size = 0x1000, .target = ecam}}}));
  std::atomic<bool> stop = false;
  std::atomic<uint64_t> rounds = 0;
  std::vector<std::thread> vcpus;
  for (unsigned vcpu = 0; vcpu < 2; ++vcpu) {
    vcpus.emplace_back([&] {
      for (; !stop; ++rounds) {
        const uint32_t ids = mmio_read(kEcam);
        EXPECT_TRUE(ids == 0x0010'1b36 || ids == UINT32_MAX) << ids;
        mmio_write(kEcam + kBar0, static_cast<uint32_t>(kWindow));
        mmio_write(kEcam + kCommand, rounds % 2 == 0 ? 0x6 : 0x4);
        mmio_read(kWindow + 0x2000);
      }
    });
  }
  while (rounds < 200) std::this_thread::yield();
  ecam->function = nullptr;
  domain->mmio().wait_for_readers();
  device.reset();
  EXPECT_TRUE(kernel->nothing_leaked());
  EXPECT_THAT(host.mappings(), IsEmpty());
  EXPECT_EQ(mmio_read(kEcam), UINT32_MAX);
  stop = true;
  for (std::thread& vcpu : vcpus) vcpu.join();
}

}  // namespace
}  // namespace passthru
