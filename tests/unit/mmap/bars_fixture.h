// SPDX-License-Identifier: MIT
// The BARs of one fake device in a guest's address spaces, and a guest's accesses to them.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "mmap/address_space_placer.h"
#include "mmap/bars.h"
#include "mmap/config_space.h"
#include "tests/fakes/fake_kernel.h"
#include "tests/unit/mmap/fake_mapper.h"
#include "tests/unit/mmap/host_memory.h"

namespace passthru {

inline constexpr uint64_t kBase = 0x80000000;

/// Stands in for the MSI-X table, and logs its accesses.
class FakeTable : public AccessTarget {
 public:
  void read(uint64_t offset, std::span<std::byte> data) override {
    log += "r" + std::to_string(offset) + "+" + std::to_string(data.size()) + " ";
    std::fill(data.begin(), data.end(), std::byte{0x77});
  }
  void write(uint64_t offset, std::span<const std::byte> data) override {
    log += "w" + std::to_string(offset) + "+" + std::to_string(data.size()) + " ";
  }
  std::string log;
};

class BarsTest : public testing::Test {
 protected:
  /// Opens the device and lays out its BARs, with the table and pending bits overlaid.
  void make(const FakeSpec& spec, const BarsOptions& options = {}) {
    hardware = &kernel.add(spec);
    auto opened = VfioDevice::open(kernel, dma, spec.door());
    ASSERT_TRUE(opened) << opened.error().message();
    device = std::move(*opened);
    config = std::move(*ConfigSpace::create(device));
    std::vector<BarOverlay> overlays;
    if (const auto& msix = config->msix()) {
      overlays.push_back(
          {msix->table_bar, msix->table_offset, msix->table_size(), table, SpanKind::MsixTable});
      overlays.push_back(
          {msix->pba_bar, msix->pba_offset, msix->pba_size(), pba, SpanKind::MsixPba});
    }
    auto made = Bars::create(device, placer(), config->bars(), overlays, options);
    ASSERT_TRUE(made) << made.error().message();
    bars = std::move(*made);
    kernel.forget_calls();
  }

  std::unique_ptr<BarPlacer> placer() { return std::make_unique<AddressSpacePlacer>(mmio, ports); }

  uint64_t read(AddressSpace& space, uint64_t address, unsigned width) {
    std::array<std::byte, 8> bytes{};
    space.read(address, std::span(bytes).first(width));
    uint64_t value = 0;
    std::memcpy(&value, bytes.data(), sizeof value);
    return value;
  }
  bool write(AddressSpace& space, uint64_t address, unsigned width, uint64_t value) {
    return space.write(address, std::as_bytes(std::span(&value, 1)).first(width));
  }
  /// Returns the offsets and sizes of the accesses that the kernel saw.
  std::string accesses(std::string_view call) {
    std::string log;
    for (const FakeCall& made : kernel.calls(call)) {
      log += std::to_string(made.offset & 0xffffff) + "+" + std::to_string(made.size) + " ";
    }
    return log;
  }

  FakeKernel kernel;
  FakeMapper mapper;
  AddressSpace mmio{uint64_t{1} << 40, &mapper};
  AddressSpace ports{1 << 16, nullptr};
  DmaSpace dma{kernel};
  std::shared_ptr<FakeTable> table = std::make_shared<FakeTable>();
  std::shared_ptr<FakeTable> pba = std::make_shared<FakeTable>();
  FakeDevice* hardware = nullptr;
  std::shared_ptr<VfioDevice> device;
  std::unique_ptr<ConfigSpace> config;
  std::unique_ptr<Bars> bars;
};

}  // namespace passthru
