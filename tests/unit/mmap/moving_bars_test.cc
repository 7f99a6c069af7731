// SPDX-License-Identifier: MIT
// Concurrent moves, on which other VMMs deadlocked or crashed. Some vCPUs toggle decode and move
// BARs, also over each other and over another device's, while others access them. PASSTHRU_SECONDS
// sets the duration.
#include <gtest/gtest.h>
#include <linux/pci_regs.h>

#include <array>
#include <atomic>
#include <chrono>
#include <cstring>
#include <random>
#include <thread>

#include "tests/fakes/environment_number.h"
#include "tests/unit/device/assigned_fixture.h"

namespace passthru {
namespace {

using std::chrono::seconds;

constexpr unsigned kMovers = 4;
constexpr unsigned kAccessors = 4;
constexpr seconds kStuck{30};  // a thread without a step for this long is in a deadlock

// All BARs move within this range. It is small, so that they overlap.
constexpr uint64_t kArena = 0xc0000000;
constexpr uint64_t kArenaSize = 0x8000;
constexpr uint64_t kTableOffset = 0x2000;
constexpr uint64_t kTableSize = 65 * 16;
constexpr uint64_t kPbaOffset = 0x3000;
constexpr uint64_t kPbaSize = 16;

/// The memory BARs: some mapped except the table's page, some trapped completely, some smaller than
/// a page.
struct KnownBar {
  size_t device;
  unsigned bar;
  uint64_t size;
};
constexpr std::array<KnownBar, 5> kKnownBars = {
    {{0, 0, 0x4000}, {1, 0, 0x1000}, {1, 1, 0x1000}, {2, 0, 0x100}, {2, 1, 0x100}}};

std::array<FakeSpec, 3> specs() {
  std::array<FakeSpec, 3> all = {FakeSpec::nvme()};
  all[1].bdf = {.device = 3};
  all[1].group = 3;
  all[1].bars = {FakeBar{.size = 0x1000}, FakeBar{.size = 0x1000, .mappable = false}};
  all[2].bdf = {.device = 4};
  all[2].group = 4;
  all[2].bars = {FakeBar{.size = 0x100}, FakeBar{.size = 0x100, .mappable = false}};
  return all;
}

// Half of the registers are never written; they identify their BAR and offset. The other half is
// written all the time, with the value that every BAR has at that address.
bool is_written(uint64_t address) {
  return (address & 0x80) != 0;
}
uint32_t written_value(uint64_t address) {
  return 0x40000000U | static_cast<uint32_t>(address & 0xff);
}
uint32_t identity(size_t bar, uint64_t offset) {
  return 0x80000000U | static_cast<uint32_t>(bar << 16 | offset);
}

bool in_msix(uint64_t address) {
  const uint64_t offset = address % kKnownBars[0].size;
  return (offset >= kTableOffset && offset < kTableOffset + kTableSize) ||
         (offset >= kPbaOffset && offset < kPbaOffset + kPbaSize);
}

/// Returns whether a register that a BAR may have at `address` has this value.
bool is_right(uint64_t address, uint32_t value) {
  if (is_written(address)) return value == written_value(address);
  const size_t bar = value >> 16 & 0xff;
  const uint64_t offset = value & 0xffff;
  return bar < kKnownBars.size() && value == identity(bar, offset) &&
         offset < kKnownBars[bar].size && (address - offset) % kKnownBars[bar].size == 0;
}

seconds how_long() {
  return seconds(std::max<uint64_t>(1, environment_number("PASSTHRU_SECONDS", 1)));
}

class MovingBars : public VmFixture {
 protected:
  void SetUp() override {
    for (const FakeSpec& spec : specs()) hardware.push_back(&plug(spec));
    for (const FakeDevice* each : hardware) {
      auto opened = AssignedDevice::open(
          domain,
          {.device = each->spec().bdf, .guest_address = {.device = each->spec().bdf.device}});
      ASSERT_TRUE(opened) << opened.error().message();
      devices.push_back(std::move(*opened));
    }
    for (size_t i = 0; i < kKnownBars.size(); ++i) fill(i);
  }

  /// The unwritten registers of a BAR identify it.
  void fill(size_t index) {
    const auto& [device, bar, size] = kKnownBars[index];
    const std::span<std::byte> memory = hardware[device]->bar(bar);
    for (uint64_t offset = 0; offset < size; offset += 4) {
      if (device == 0 && in_msix(offset)) continue;
      const uint32_t value = is_written(offset) ? written_value(offset) : identity(index, offset);
      std::memcpy(&memory[offset], &value, sizeof value);
    }
  }

  static uint32_t bar_register(unsigned bar) { return PCI_BASE_ADDRESS_0 + 4 * bar; }

  /// One action of a guest on its devices' decode.
  void move_something(std::mt19937_64& random) {
    const auto& [device, bar, size] = kKnownBars[random() % kKnownBars.size()];
    AssignedDevice& moved = *devices[device];
    const auto address = static_cast<uint32_t>(kArena + random() % (kArenaSize / size) * size);
    switch (random() % 4) {
      case 0:
        moved.config_write(PCI_COMMAND, 2, random() % 2 == 0 ? 0 : PCI_COMMAND_MEMORY);
        break;
      case 1:  // sizing, with decode on
        moved.config_write(bar_register(bar), 4, UINT32_MAX);
        moved.config_read(bar_register(bar), 4);
        [[fallthrough]];
      default:
        moved.config_write(bar_register(bar), 4, address);
        moved.config_write(PCI_COMMAND, 2, PCI_COMMAND_MEMORY);
    }
  }

  /// Reads or writes one register, whatever answers there now.
  void access_something(std::mt19937_64& random) {
    const uint64_t address = kArena + random() % (kArenaSize / 4) * 4;
    if (is_written(address) && random() % 2 == 0) {
      const uint32_t value = written_value(address);
      domain.mmio().write(address, std::as_bytes(std::span(&value, 1)));
      return;
    }
    uint32_t value = 0;
    if (!domain.mmio().read(address, std::as_writable_bytes(std::span(&value, 1)))) {
      ++nobody;
      if (value != UINT32_MAX) ++wrong;
    } else if (!in_msix(address)) {
      ++somebody;
      if (value != UINT32_MAX && !is_right(address, value)) ++wrong;
    }
  }

  std::vector<FakeDevice*> hardware;
  std::vector<std::unique_ptr<AssignedDevice>> devices;
  std::atomic<uint64_t> nobody = 0, somebody = 0, wrong = 0;
};

TEST_F(MovingBars, EveryReadBesideFourMoversIsTheRegistersValueOrAllOnes) {
  std::atomic<bool> stop = false;
  std::array<std::atomic<uint64_t>, kMovers + kAccessors> steps{};
  std::vector<std::thread> vcpus;
  for (unsigned id = 0; id < kMovers + kAccessors; ++id) {
    vcpus.emplace_back([&, id] {
      std::mt19937_64 random(id);
      for (; !stop; ++steps[id]) {
        id < kMovers ? move_something(random) : access_something(random);
        // The fake logs every call for as long as the test runs.
        if (id == 0 && steps[id] % 1024 == 0) kernel->forget_calls();
      }
    });
  }
  // Leaving with unjoined threads ends the process, which is better than to wait for them.
  const auto begin = std::chrono::steady_clock::now();
  std::array<uint64_t, kMovers + kAccessors> seen{};
  std::array<std::chrono::steady_clock::time_point, kMovers + kAccessors> progress;
  progress.fill(begin);
  for (auto now = begin; now < begin + how_long(); now = std::chrono::steady_clock::now()) {
    for (size_t id = 0; id < steps.size(); ++id) {
      if (steps[id] != seen[id]) progress[id] = now;
      seen[id] = steps[id];
      ASSERT_LT(now - progress[id], kStuck) << "thread " << id << " is stuck";
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  stop = true;
  for (std::thread& vcpu : vcpus) vcpu.join();
  EXPECT_EQ(wrong, 0U);
  EXPECT_GT(nobody, 0U);
  EXPECT_GT(somebody, 0U);
  for (const auto& count : steps) EXPECT_GT(count, 0U);

  // Nothing moves now: each BAR alone has its old content.
  for (const auto& device : devices) device->config_write(PCI_COMMAND, 2, 0);
  for (size_t i = 0; i < kKnownBars.size(); ++i) {
    const auto& [device, bar, size] = kKnownBars[i];
    devices[device]->config_write(bar_register(bar), 4, static_cast<uint32_t>(kArena + i * 0x4000));
    devices[device]->config_write(PCI_COMMAND, 2, PCI_COMMAND_MEMORY);
  }
  for (size_t i = 0; i < kKnownBars.size(); ++i) {
    uint32_t value = 0;
    domain.mmio().read(kArena + i * 0x4000 + 0x40, std::as_writable_bytes(std::span(&value, 1)));
    EXPECT_EQ(value, identity(i, 0x40));
  }
  devices.clear();
  EXPECT_TRUE(host.mappings().empty());
  EXPECT_TRUE(kernel->nothing_leaked());
}

}  // namespace
}  // namespace passthru
