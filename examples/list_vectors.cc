// SPDX-License-Identifier: MIT
// list_vectors.cc - The MSI-X vectors of a device, and whether their interrupts arrive.
//
//   $ c++ -std=c++20 list_vectors.cc $(pkg-config --cflags --libs passthru) -o list_vectors
//   $ ./list_vectors 0000:01:00.0 2             (a device on vfio-pci with MSI-X; it is reset)
//   5 vectors, table in BAR 3 at 0x0
//   vector 0: address 0xfee00000, data 0x20, arrived
//   vector 1: address 0xfee00000, data 0x21, arrived
//   vector 2: masked
//   ...
//
// There is no guest. The program enables the first COUNT vectors as a driver does, and has the
// kernel signal them. It takes the messages as a VMM, and reads the table as a guest sees it. The
// exit status is 1 if a message does not arrive within 1 s.
#include <linux/pci_regs.h>

#include <array>
#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <passthru/passthru.hpp>
#include <set>

namespace {

constexpr uint32_t kFirstData = 0x20;  ///< the numbers below belong to a CPU's exceptions
constexpr uint32_t kMaxCount = 0x100 - kFirstData;

/// Takes the messages, on a thread of the library.
class Arrivals final : public passthru::Messages {
 public:
  passthru::Result<void> signal_msi(uint32_t, const passthru::Message& message) override {
    const std::lock_guard lock(mutex_);
    arrived_.insert(message.data);
    changed_.notify_one();
    return {};
  }
  bool wait_for(uint32_t data) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, std::chrono::seconds(1),
                             [&] { return arrived_.contains(data); });
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::set<uint32_t> arrived_;
};

/// Returns the offset of the MSI-X capability.
uint32_t find_msix(passthru::Device& device) {
  uint32_t offset = device.config_read(PCI_CAPABILITY_LIST, 1).value();
  for (int left = 48; offset != 0 && left > 0; --left) {
    if (device.config_read(offset, 1).value() == PCI_CAP_ID_MSIX) return offset;
    offset = device.config_read(offset + PCI_CAP_LIST_NEXT, 1).value();
  }
  throw passthru::Error(ENODEV, "the device has no MSI-X");
}

/// Enables the first `count` vectors, and lists all. Returns whether all interrupts arrived.
bool list_vectors(passthru::Device& device, Arrivals& arrivals, uint32_t count) {
  const uint32_t msix = find_msix(device);
  const uint32_t flags = device.config_read(msix + PCI_MSIX_FLAGS, 2).value();
  const uint32_t table = device.config_read(msix + PCI_MSIX_TABLE, 4).value();
  const uint32_t vectors = (flags & PCI_MSIX_FLAGS_QSIZE) + 1;
  const uint32_t bar = table & PCI_MSIX_TABLE_BIR;
  const uint32_t offset = table & PCI_MSIX_TABLE_OFFSET;
  std::printf("%u vectors, table in BAR %u at %#x\n", vectors, bar, offset);

  std::array<uint32_t, 4> entry{0xfee00000};  // address, its upper half, data, mask bit
  for (uint32_t vector = 0; vector < count && vector < vectors; ++vector) {
    entry[2] = kFirstData + vector;
    const auto bytes = std::as_bytes(std::span(entry));
    device.bar_write(bar, offset + PCI_MSIX_ENTRY_SIZE * vector, bytes).value();
  }
  device.config_write(PCI_COMMAND, 2, PCI_COMMAND_MASTER).value();
  device.config_write(msix + PCI_MSIX_FLAGS, 2, PCI_MSIX_FLAGS_ENABLE).value();

  bool all = true;
  for (uint32_t vector = 0; vector < vectors; ++vector) {
    const auto bytes = std::as_writable_bytes(std::span(entry));
    device.bar_read(bar, offset + PCI_MSIX_ENTRY_SIZE * vector, bytes).value();
    if ((entry[3] & PCI_MSIX_ENTRY_CTRL_MASKBIT) != 0) {
      std::printf("vector %u: masked\n", vector);
      continue;
    }
    device.trigger(vector).value();
    const bool arrived = arrivals.wait_for(entry[2]);
    std::printf("vector %u: address %#x, data %#x, %s\n", vector, entry[0], entry[2],
                arrived ? "arrived" : "lost");
    all = all && arrived;
  }
  return all;
}

}  // namespace

int main(int argc, char** argv) {
  const bool help = argc == 2 && std::strcmp(argv[1], "--help") == 0;
  const int count = argc == 3 ? std::atoi(argv[2]) : 0;
  if (count < 1 || static_cast<uint32_t>(count) > kMaxCount) {
    std::fprintf(help ? stdout : stderr, "usage: list_vectors DEVICE COUNT (at most %u)\n",
                 kMaxCount);
    return help ? 0 : 2;
  }
  try {
    Arrivals arrivals;
    auto domain = passthru::Domain::create({.messages = &arrivals}).value();
    auto device = passthru::Device::open(domain, {.device = argv[1]}).value();
    return list_vectors(device, arrivals, static_cast<uint32_t>(count)) ? 0 : 1;
  } catch (const passthru::Error& error) {
    std::fprintf(stderr, "list_vectors: %s\n", error.what());
    return 1;
  }
}
