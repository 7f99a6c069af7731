// SPDX-License-Identifier: MIT
// That interrupts survive a reset nobody announced, on real VFIO: the physical table is damaged
// through a second door (sysfs), never through the code under test.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <filesystem>

#include "irq/msix.h"
#include "mmap/config_space.h"
#include "tests/fakes/fake_host.h"
#include "tests/hil/bound_devices.h"
#include "vfio/device.h"
#include "vfio/group.h"
#include "vfio/linux_kernel.h"

namespace passthru {
namespace {

using ::testing::ElementsAre;

constexpr unsigned kVectors = 4;

MsiMessage message_of(unsigned vector) {
  return {0xfee0'0000, 0x40 + vector};
}

/// The table's BAR through sysfs: what the device has, and a way to damage it past VFIO.
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
  [[nodiscard]] bool open() const { return mapped_ != nullptr; }
  [[nodiscard]] MsixEntry entry(unsigned vector) const {
    const volatile uint32_t* at = table_ + vector * 4;
    return {at[0], at[1], at[2], at[3]};
  }
  void zero(unsigned vector) {
    for (unsigned word = 0; word < 4; ++word) table_[vector * 4 + word] = 0;
  }

 private:
  Fd file_;
  uint64_t size_ = 0;
  std::byte* mapped_ = nullptr;
  volatile uint32_t* table_ = nullptr;
};

class Healing : public ::testing::TestWithParam<BoundDevice>, public VectorObserver {
 protected:
  void SetUp() override {
    auto opened = VfioDevice::open(kernel, dma, GetParam().group, GetParam().bdf);
    ASSERT_TRUE(opened) << opened.error().message();
    device = *opened;
    auto config = ConfigSpace::create(device);
    ASSERT_TRUE(config) << config.error().message();
    if (!(*config)->msix()) GTEST_SKIP() << "it has no MSI-X";
    layout = *(*config)->msix();
    door = std::make_unique<SecondDoor>(GetParam().bdf, layout);
    if (!door->open()) GTEST_SKIP() << "sysfs does not map its BAR: boot with iomem=relaxed";
    msix = std::make_unique<Msix>(
        device, layout, host, *this,
        Msix::Options{.requester_id = 8, .wake = [this] { return turn_decode_on(); }});
    vectors = std::min(kVectors, layout.vectors);
    table = msix->table_target();
    for (unsigned vector = 0; vector < vectors; ++vector) {
      put32(vector * 16, static_cast<uint32_t>(message_of(vector).address));
      put32(vector * 16 + 8, message_of(vector).data);
      put32(vector * 16 + 12, 0);
    }
    msix->write_control(kMsixEnable);
    host.delivered();
  }

  Result<void> turn_decode_on() {
    const uint16_t command = 0x7;
    return device->write(Region::Config, 4, std::as_bytes(std::span{&command, 1}));
  }
  void put32(uint64_t offset, uint32_t value) {
    table->write(offset, std::as_bytes(std::span{&value, 1}));
  }
  void mask(unsigned vector, bool masked) { put32(vector * 16 + 12, masked ? 1 : 0); }
  std::vector<MsixEntry> entries() {
    std::vector<MsixEntry> all;
    for (unsigned vector = 0; vector < vectors; ++vector) all.push_back(door->entry(vector));
    return all;
  }
  uint16_t physical_control() {
    uint16_t control = 0;
    auto read = device->read(Region::Config, layout.capability + 2U,
                             std::as_writable_bytes(std::span{&control, 1}));
    EXPECT_TRUE(read);
    return control & (kMsixEnable | kMsixFunctionMask);
  }
  /// The kernel's own loopback reaches the guest with the vector's message.
  void expect_delivery(unsigned vector) {
    auto done = device->act_on_irqs(Irq::Msix, IrqAction::Trigger, vector, 1);
    ASSERT_TRUE(done) << done.error().message();
    EXPECT_THAT(host.delivered(), ElementsAre(message_of(vector)));
  }

  void vector_failed(unsigned vector, const Error& error) override {
    ADD_FAILURE() << "vector " << vector << ": " << error.message();
  }
  void vectors_restored(unsigned count) override { restored += count; }
  void intx_failed(const Error& error) override { ADD_FAILURE() << error.message(); }

  LinuxKernel kernel;
  FakeHost host{kernel};
  DmaSpace dma{kernel};
  std::shared_ptr<VfioDevice> device;
  MsixLayout layout;
  std::unique_ptr<SecondDoor> door;
  std::unique_ptr<Msix> msix;
  std::shared_ptr<AccessTarget> table;
  unsigned vectors = 0;
  unsigned restored = 0;
};

TEST_P(Healing, ASoundDeviceIsLeftAlone) {
  const auto before = entries();
  for (const MsixEntry& entry : before) EXPECT_NE(entry.address_low, 0U);
  EXPECT_EQ(*msix->audit(), 0U);
  EXPECT_EQ(entries(), before);
  expect_delivery(0);
}

TEST_P(Healing, AnAuditRestoresTheEntryThatWasClearedAndItsInterruptIsNotLost) {
  const auto before = entries();
  door->zero(1);
  ASSERT_NE(entries(), before);
  EXPECT_EQ(*msix->audit(), 1U);
  EXPECT_EQ(entries(), before);
  EXPECT_THAT(host.delivered(), ElementsAre(message_of(1)));
  expect_delivery(1);
}

TEST_P(Healing, AnAuditRestoresAWholeTable) {
  const auto before = entries();
  for (unsigned vector = 0; vector < vectors; ++vector) door->zero(vector);
  EXPECT_EQ(*msix->audit(), vectors);
  EXPECT_EQ(entries(), before);
}

TEST_P(Healing, AClearedEntryIsRestoredBeforeItsVectorIsLive) {
  const auto before = entries();
  mask(0, true);
  door->zero(0);
  mask(0, false);
  EXPECT_EQ(entries(), before);
  EXPECT_EQ(restored, 1U);
  EXPECT_THAT(host.delivered(), ElementsAre(message_of(0)));
  expect_delivery(0);
}

TEST_P(Healing, MaskingASoundVectorCostsNoCallOfTheKernel) {
  const uint64_t before = msix->set_irqs_calls();
  for (int i = 0; i < 1000; ++i) {
    mask(0, true);
    mask(0, false);
  }
  EXPECT_EQ(msix->set_irqs_calls(), before);
  EXPECT_EQ(restored, 0U);
}

/// The same for the devices that have a function-level reset.
class HealingOfAReset : public Healing {};

TEST_P(HealingOfAReset, AFunctionLevelResetBehindVfioIsHealedWithTheEnableBit) {
  const auto before = entries();
  GetParam().reset_behind_vfio();
  ASSERT_EQ(physical_control(), 0U);
  EXPECT_EQ(*msix->audit(), vectors);
  EXPECT_EQ(physical_control(), kMsixEnable);
  EXPECT_EQ(entries(), before);
  EXPECT_EQ(host.delivered().size(), vectors);
  expect_delivery(0);
}

std::vector<BoundDevice> devices_with_flr() {
  std::vector<BoundDevice> devices = bound_devices();
  std::erase_if(devices, [](const BoundDevice& device) { return !device.has_flr(); });
  return devices;
}

GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(HealingOfAReset);
INSTANTIATE_TEST_SUITE_P(Linux, HealingOfAReset, testing::ValuesIn(devices_with_flr()),
                         [](const auto& each) { return each.param.name(); });
GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(Healing);
INSTANTIATE_TEST_SUITE_P(Linux, Healing, testing::ValuesIn(bound_devices()),
                         [](const auto& each) { return each.param.name(); });

}  // namespace
}  // namespace passthru
