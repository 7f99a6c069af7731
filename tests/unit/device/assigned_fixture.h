// SPDX-License-Identifier: MIT
// A guest for tests of assigned devices: a host with fake devices, a VMM, and the guest's config
// writes, loads and stores. `VmFixture` has any number of devices, `AssignedFixture` has one.
#pragma once

#include <gtest/gtest.h>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "device/assigned_device.h"
#include "tests/fakes/eventually.h"
#include "tests/fakes/fake_hypervisor.h"
#include "tests/fakes/fake_kernel.h"
#include "tests/fakes/sysfs_tree.h"
#include "tests/hil/tested_backend.h"

namespace passthru {

inline constexpr uint32_t kCommand = 0x04;
inline constexpr uint32_t kBar0 = 0x10;
inline constexpr uint32_t kPowerControl = FakeCapability::kPowerManagement + 4;
inline constexpr uint32_t kDeviceControl = FakeCapability::kExpress + 8;
inline constexpr uint32_t kMsi = FakeCapability::kMsi;
inline constexpr uint32_t kMsixControl = FakeCapability::kMsix + 2;
inline constexpr uint64_t kWindow = 0xc000'0000;
inline constexpr uint64_t kElsewhere = 0xd000'0000;
/// The MSI-X table of FakeSpec::nvme(), if BAR 0 is at kWindow.
inline constexpr uint64_t kNvmeTable = kWindow + 0x2000;
inline constexpr unsigned kForEver = UINT32_MAX;  // a number of calls

class VmFixture : public ::testing::Test {
 protected:
  VmFixture() = default;
  /// For a host with pages of this size.
  explicit VmFixture(uint64_t page_size) : kernel(std::make_shared<FakeKernel>(page_size)) {}

  /// Adds a device to the host, bound to vfio-pci.
  FakeDevice& plug(const FakeSpec& spec) {
    return tested_backend() == Backend::Cdev ? plug_with_node(spec) : add_device(spec, "");
  }
  /// Adds a device that can be opened by its group and by its own node.
  FakeDevice& plug_with_node(const FakeSpec& spec) {
    sysfs.add_iommufd();
    return add_device(spec, spec.cdev());
  }
  /// Adds a device; `cdev` is the name of its node, or empty.
  FakeDevice& add_device(const FakeSpec& spec, const std::string& cdev) {
    const std::string bdf = spec.bdf.str();
    sysfs.add({.bdf = bdf.c_str(),
               .driver = "vfio-pci",
               .group = spec.group,
               .vfio_dev = true,
               .cdev = cdev});
    return kernel->add(spec);
  }
  uint32_t mmio_read(uint64_t address) {
    uint32_t value = 0;
    domain.mmio().read(address, std::as_writable_bytes(std::span{&value, 1}));
    return value;
  }
  void mmio_write(uint64_t address, uint32_t value) {
    domain.mmio().write(address, std::as_bytes(std::span{&value, 1}));
  }
  /// Returns whether the guest reaches the address without an exit.
  [[nodiscard]] bool mapped(uint64_t address) const {
    for (const GuestMapping& each : host.mappings()) {
      if (address >= each.address && address - each.address < each.size) return true;
    }
    return false;
  }
  /// Counts the DMA mappings when devices reach the BARs where they are now.
  size_t dma_mappings() {
    EXPECT_TRUE(eventually([this] { return domain.peers().wait_for_mapped(); }));
    return kernel->dma_mappings();
  }
  /// Returns the kinds of all events.
  [[nodiscard]] std::vector<Event::Kind> told() const {
    std::vector<Event::Kind> kinds;
    for (const Event& event : host.events) kinds.push_back(event.kind);
    return kinds;
  }

  SysfsTree sysfs;
  std::shared_ptr<FakeKernel> kernel = std::make_shared<FakeKernel>();
  FakeHypervisor host{*kernel};
  Domain domain{kernel, host, sysfs.sysfs()};
};

class AssignedFixture : public VmFixture {
 protected:
  using VmFixture::VmFixture;

  Result<std::unique_ptr<AssignedDevice>> try_open(AssignOptions options = {},
                                                   DeviceSource source = {}) {
    options.device = hardware->spec().bdf;
    options.guest_address = {.device = 5};
    return AssignedDevice::open(domain, options, std::move(source));
  }
  void open(const AssignOptions& options = {}, DeviceSource source = {}) {
    auto opened = try_open(options, std::move(source));
    ASSERT_TRUE(opened) << opened.error().message();
    device = std::move(*opened);
    kernel->forget_calls();
  }

  /// Gives a BAR its address and enables memory decode and bus mastering.
  void place(uint64_t address, unsigned bar = 0) {
    device->config_write(kBar0 + 4 * bar, 4, static_cast<uint32_t>(address));
    if (hardware->spec().bars[bar].is_64bit) {
      device->config_write(kBar0 + 4 * bar + 4, 4, static_cast<uint32_t>(address >> 32));
    }
    device->config_write(kCommand, 2, 0x6);
  }
  void enable_msix() { device->config_write(kMsixControl, 2, 0x8000); }
  /// Writes `message_of(vector)` into the guest's table and unmasks the vector.
  void enable_vector(unsigned vector, uint64_t table = kNvmeTable) {
    const uint64_t entry = table + uint64_t{vector} * 16;
    mmio_write(entry, static_cast<uint32_t>(message_of(vector).address));
    mmio_write(entry + 4, 0);
    mmio_write(entry + 8, message_of(vector).data);
    mmio_write(entry + 12, 0);
  }
  /// Waits until INTx is high. If the VMM sets levels, a thread of the library raises the line with
  /// a delay.
  bool soon_high() {
    return eventually([this] { return host.intx_level(); });
  }
  /// Starts a driver in the guest: it places BAR 0, enables MSI-X, and unmasks the first `vectors`.
  void start_driver(unsigned vectors) {
    place(kWindow);
    enable_msix();
    for (unsigned vector = 0; vector < vectors; ++vector) enable_vector(vector);
  }
  /// Opens an NVMe drive and starts a driver. Leaves no undelivered interrupt.
  void open_driven(unsigned vectors) {
    hardware = &plug(FakeSpec::nvme());
    open();
    start_driver(vectors);
    host.delivered();
  }
  static MsiMessage message_of(unsigned vector) { return {0xfee0'0000, 0x40 + vector}; }

  FakeDevice* hardware = nullptr;  ///< set it before opening
  std::unique_ptr<AssignedDevice> device;
};

}  // namespace passthru
