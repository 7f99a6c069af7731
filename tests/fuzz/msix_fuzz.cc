// SPDX-License-Identifier: MIT
// Fuzzes a guest's use of interrupts. Meanwhile the device fires, is damaged or disappears, and
// calls fail. The library must keep its contract with the VMM; the fakes check that. At the end
// nothing fails any more. The guest unmasks all vectors, and each vector must deliver exactly its
// interrupts.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdio>
#include <cstring>

#include "tests/fuzz/fuzzed_device.h"

namespace passthru {
namespace {

// One step of a program: the action, its vector and its arguments.
struct Step {
  uint8_t what;
  uint8_t vector;
  uint16_t offset;
  uint32_t value;
};

void require(bool is_so, const char* what, unsigned vector) {
  if (is_so) return;
  std::fprintf(stderr, "vector %u: %s\n", vector, what);
  __builtin_trap();
}

// A device that stayed damaged is restored some audits after that becomes possible; see RetryPace.
void audit(FuzzedDevice& device) {
  unsigned audits = 0;
  while (!device.interrupts().audit() && audits < 2 * RetryPace::kMaxWait) ++audits;
}

void take(FuzzedDevice& device, const Step& step) {
  const unsigned vector = step.vector % device.vectors();
  auto value = step.value;
  const auto bytes = std::as_writable_bytes(std::span{&value, 1}).first(step.vector % 4 + 1U);
  switch (step.what % 22) {
    case 0:
      return device.write_table(step.offset % (device.vectors() * 16 + 8), bytes);
    case 1:
      return device.read_table(step.offset, bytes);
    case 2:
      return device.read_pending(step.offset, bytes);
    case 3:
      return device.write_control(step.offset);
    case 4:
      return device.write_control(PCI_MSIX_FLAGS_ENABLE);
    case 5:
    case 6:
      return device.fire(vector);
    case 7:
      return device.damage(vector, step.offset);
    case 8:
    case 9:
      return ignore(device.interrupts().audit(), "the next audit retries");
    case 10:
    case 11:
      device.program(vector);
      return device.mask(vector, false);
    case 12:
      return device.mask(vector, true);
    case 13:
      return device.mask(vector, false);
    case 14:
    case 15:
    case 16:
      return device.plan(static_cast<FuzzedDevice::Event>(step.value % FuzzedDevice::kEvents),
                         step.offset % 64, vector);
    case 17:
      return device.happen(static_cast<FuzzedDevice::Event>(step.value % FuzzedDevice::kEvents),
                           vector);
    case 18:
      return step.value % 4 == 0 ? device.reset() : device.interrupts().set_awake(step.value % 2);
    case 19:
      return device.write_msi(
          {.control = step.offset, .address = 0xfee0'0000, .data = 0x40, .mask = step.value});
    case 20:
      return ignore(device.interrupts().watch(
                        vector, step.value % 2 != 0 ? std::optional(step.value) : std::nullopt),
                    "the vector keeps its previous path");
    default:
      device.hardware().set_intx(step.value % 2 != 0);
      return device.interrupts().end_of_intx();
  }
}

// Puts the guest in a known state: MSI-X on, every vector unmasked. It leaves correct registers
// alone unless damage is invisible or a call failed. In those cases it unmasks each vector again,
// so that the library retries.
void update_vector(FuzzedDevice& device) {
  device.calm();
  device.interrupts().set_awake(true);
  device.write_msi({});
  audit(device);
  device.write_control(PCI_MSIX_FLAGS_ENABLE);
  const bool touches = !device.hardware().spec().msix.mappable || device.has_failed();
  for (unsigned vector = 0; vector < device.vectors(); ++vector) {
    device.program(vector);
    if (touches) device.mask(vector, true);
    device.mask(vector, false);
  }
  audit(device);
  device.delivered();
}

void expect_only(FuzzedDevice& device, unsigned vector, const char* when) {
  require(device.delivered() == std::vector{FuzzedDevice::message_of(vector)}, when, vector);
}

void check_msix(FuzzedDevice& device, bool limited) {
  for (unsigned vector = 0; vector < device.vectors(); ++vector) {
    require(!device.owes(vector), "an interrupt was lost", vector);
    if (limited && !device.hardware().bound(vector)) continue;
    require(device.hardware().fire(vector) == Fired::Delivered, "the vector is dead", vector);
    expect_only(device, vector, "it fired, but the guest did not receive exactly its message");
    device.mask(vector, true);
    device.hardware().fire(vector);
    require(device.delivered().empty(), "it is masked, but its message was sent", vector);
    std::byte pending{};
    device.read_pending(vector / 8, std::span{&pending, 1});
    require((pending >> vector % 8 & std::byte{1}) != std::byte{0}, "it is not pending", vector);
    device.mask(vector, false);
    expect_only(device, vector,
                "it was unmasked, but the guest did not receive exactly its message");
  }
}

void check_msi(FuzzedDevice& device) {
  const unsigned count = device.hardware().spec().msi_vectors;
  if (count == 0) return;
  device.write_control(0);
  const auto all = static_cast<uint16_t>(__builtin_ctz(count) << 4);
  device.write_msi({.control = all, .address = 0xfee0'0000, .data = 0x40});
  device.write_msi({.control = static_cast<uint16_t>(all | PCI_MSI_FLAGS_ENABLE),
                    .address = 0xfee0'0000,
                    .data = 0x40});
  audit(device);
  device.delivered();
  for (unsigned vector = 0; vector < count; ++vector) {
    require(device.hardware().fire(vector) == Fired::Delivered, "MSI: the vector is dead", vector);
    expect_only(device, vector, "MSI: it fired, but the guest did not receive exactly its message");
  }
}

void check_intx(FuzzedDevice& device) {
  if (!device.hardware().spec().intx) return;
  device.hardware().set_intx(false);
  device.write_control(0);
  device.write_msi({});
  device.host().intx_delivered();
  for (unsigned round = 0; round < 2; ++round) {
    device.hardware().set_intx(true);
    require(device.host().intx_delivered(), "INTx is dead", round);
    device.hardware().set_intx(false);
    device.host().end_of_intx();
    require(!device.host().intx_delivered(), "INTx was sent again", round);
  }
}

void run(const uint8_t* program, size_t size) {
  DeviceShape shape;
  if (size < sizeof shape) return;
  std::memcpy(&shape, program, sizeof shape);
  program += sizeof shape;
  size -= sizeof shape;
  FuzzedDevice device(shape);
  for (Step step{}; size >= sizeof step; program += sizeof step, size -= sizeof step) {
    std::memcpy(&step, program, sizeof step);
    take(device, step);
    device.delivered();
  }
  update_vector(device);
  check_msix(device, shape.limited());
  check_msi(device);
  check_intx(device);
}

}  // namespace
}  // namespace passthru

// A failed check of the fakes ends the run; by default it would only be printed.
extern "C" int LLVMFuzzerInitialize(int* /*argc*/, char*** /*argv*/) {
  GTEST_FLAG_SET(break_on_failure, true);
  return 0;
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  passthru::run(data, std::min<size_t>(size, 2048));
  return 0;
}
