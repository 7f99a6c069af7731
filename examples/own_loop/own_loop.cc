// SPDX-License-Identifier: MIT
// A VMM with a loop of its own and without irqfd: one thread polls for interrupts, for the host's
// events and for the time of the next check. It has no guest, so it plays the guest's part: it
// enables MSI-X, programs vector 0, and has the kernel fire it.
//
// usage: own_loop BDF     (a device on vfio-pci with MSI-X; the device is reset)
// Prints a line for each interrupt and event. Exit status: 0 if the interrupt arrived.
#include <linux/pci_regs.h>
#include <poll.h>

#include <array>
#include <cstdio>
#include <cstring>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "device/assigned_device.h"
#include "device/domain.h"
#include "irq/forward/forwarder.h"
#include "vfio/linux_kernel.h"

using namespace passthru;

namespace {

constexpr int kCheckEveryMs = 100;
constexpr int kRounds = 20;
constexpr uint64_t kBarAddress = 0xc0000000;

/// A hypervisor that takes each interrupt as a message. It maps nothing: every access is trapped.
class MessageVmm final : public Hypervisor {
 public:
  Result<void> map(const GuestMapping& /*mapping*/) override { return {}; }
  Result<void> unmap(const GuestMapping& /*mapping*/) override { return {}; }

  [[nodiscard]] bool msi_by_message() const override { return true; }
  Result<void> signal_msi(const MsiMessage& message, uint16_t /*requester_id*/) override {
    std::printf("interrupt: address %#llx, data %#x\n",
                static_cast<unsigned long long>(message.address), message.data);
    ++interrupts;
    return {};
  }
  // Never called with msi_by_message.
  Result<RouteId> create_route(const MsiMessage& /*message*/, uint16_t /*id*/) override {
    return 0;
  }
  Result<void> update_route(RouteId /*route*/, const MsiMessage& /*message*/) override {
    return {};
  }
  void destroy_route(RouteId /*route*/) override {}
  Result<void> arm(RouteId /*route*/, int /*eventfd*/) override { return {}; }
  void disarm(RouteId /*route*/, int /*eventfd*/) override {}

  [[nodiscard]] bool intx_by_level() const override { return true; }
  void set_intx(Bdf /*guest_address*/, unsigned /*pin*/, bool /*level*/) override {}

  void on_event(const Event& event) override {
    std::printf("event: %s: %s\n", event.device.str().c_str(), event.detail.c_str());
    if (event.kind == Event::Kind::UnplugRequest) unplug_requested = true;
  }

  int interrupts = 0;
  bool unplug_requested = false;
};

void write32(AddressSpace& space, uint64_t address, uint32_t value) {
  space.write(address, std::as_bytes(std::span(&value, 1)));
}

/// Does what a guest's driver does: places the BAR of the table, programs vector 0, enables MSI-X.
Result<void> enable_vector(Domain& domain, AssignedDevice& device) {
  std::array<std::byte, PCI_CFG_SPACE_SIZE> config{};
  for (uint32_t at = 0; at < config.size(); at += 4) {
    const uint32_t word = device.config_read(at, 4);
    std::memcpy(config.data() + at, &word, sizeof word);
  }
  const auto msix = find_msix(config);
  if (!msix) return fail(ENODEV, "use MSI-X", "the device has no MSI-X");
  device.config_write(PCI_BASE_ADDRESS_0 + 4 * msix->table_bar, 4, kBarAddress);
  device.config_write(PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
  device.config_write(msix->capability + PCI_MSIX_FLAGS, 2, PCI_MSIX_FLAGS_ENABLE);
  const uint64_t entry = kBarAddress + msix->table_offset;
  write32(domain.mmio(), entry + PCI_MSIX_ENTRY_LOWER_ADDR, 0xfee00000);
  write32(domain.mmio(), entry + PCI_MSIX_ENTRY_UPPER_ADDR, 0);
  write32(domain.mmio(), entry + PCI_MSIX_ENTRY_DATA, 0x41);
  write32(domain.mmio(), entry + PCI_MSIX_ENTRY_VECTOR_CTRL, 0);
  return {};
}

Result<void> run(const std::string& address, MessageVmm& vmm) {
  Domain domain(std::make_shared<LinuxKernel>(), vmm);
  // The loop's thread drives the forwarder, instead of a thread of the library.
  std::unique_ptr<Forwarder> made = PASSTHRU_TRY(Forwarder::make());
  const int interrupts = PASSTHRU_TRY(made->poll_fd());
  Forwarder& forwarder = *made;
  PASSTHRU_TRY(domain.interrupts().adopt(std::move(made)));

  const Bdf bdf = PASSTHRU_TRY(Bdf::parse(address));
  // The loop itself decides when the host gets the device back.
  const AssignOptions options{
      .device = bdf, .guest_address = {.device = 1}, .on_unplug = OnUnplug::Tell};
  const auto device = PASSTHRU_TRY(AssignedDevice::open(domain, options));
  PASSTHRU_TRY(enable_vector(domain, *device));
  PASSTHRU_TRY(device->trigger(0));

  std::vector<pollfd> ready{{.fd = interrupts, .events = POLLIN, .revents = 0}};
  for (const int fd : device->event_fds()) ready.push_back({fd, POLLIN, 0});
  for (int round = 0; round < kRounds && vmm.interrupts == 0; ++round) {
    if (::poll(ready.data(), ready.size(), kCheckEveryMs) < 0 && errno != EINTR) {
      return fail(errno, "poll");
    }
    PASSTHRU_TRY(forwarder.run_once());
    device->handle_events();
    if (vmm.unplug_requested) break;  // the destructor gives the device back
    PASSTHRU_TRY(device->check_health());
  }
  return {};
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: own_loop BDF\n");
    return 2;
  }
  MessageVmm vmm;
  const auto done = run(argv[1], vmm);
  if (!done) std::fprintf(stderr, "own_loop: %s\n", done.error().message().c_str());
  return done && vmm.interrupts != 0 ? 0 : 1;
}
