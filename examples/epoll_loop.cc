// SPDX-License-Identifier: MIT
// epoll_loop.cc - A VMM with a loop of its own: no thread of the library calls it.
//
//   $ c++ -std=c++20 epoll_loop.cc $(pkg-config --cflags --libs passthru) -o epoll_loop
//   $ ./epoll_loop 0000:01:00.0 10              (a device on vfio-pci with MSI-X; it is reset)
//   interrupt: address 0xfee00000, data 0x41
//
// There is no guest. The program enables vector 0 as a driver does, and has the kernel signal it
// every second. It prints interrupts and events, until SECONDS are over or the host asks for the
// device. Meanwhile `passthru msix show` sees it. Exit status 1: no interrupt has arrived.
#include <linux/pci_regs.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <passthru/passthru.hpp>
#include <vector>

namespace {

int need(int result, const char* call) {
  if (result < 0) throw passthru::Error(errno, std::string(call) + ": " + std::strerror(errno));
  return result;
}

/// Waits for descriptors, 100 ms at most, and calls the handler of each that is readable.
class Loop {
 public:
  Loop() = default;
  Loop(const Loop&) = delete;
  ~Loop() { close(fd_); }
  void add(int fd, std::function<void()> handler) {
    epoll_event event{.events = EPOLLIN, .data = {.u64 = handlers_.size()}};
    need(epoll_ctl(fd_, EPOLL_CTL_ADD, fd, &event), "epoll_ctl");
    handlers_.push_back(std::move(handler));
  }
  void run_once() {
    epoll_event event{};
    const int found = epoll_wait(fd_, &event, 1, 100);
    if (found < 0 && errno != EINTR) need(found, "epoll_wait");
    if (found > 0) handlers_[event.data.u64]();
  }

 private:
  const int fd_ = need(epoll_create1(EPOLL_CLOEXEC), "epoll_create1");
  std::vector<std::function<void()>> handlers_;
};

/// The callbacks. They run on the thread of the loop.
struct Printer final : passthru::Messages, passthru::Events {
  passthru::Result<void> signal_msi(uint32_t, const passthru::Message& message) override {
    std::printf("interrupt: address %#jx, data %#x\n", uintmax_t{message.address}, message.data);
    ++interrupts;
    return {};
  }
  void event(const passthru::Event& event) noexcept override {
    std::printf("event: %s: %s\n", event.device, event.text);
    unplug_requested = unplug_requested || event.kind == PASSTHRU_EVENT_UNPLUG_REQUEST;
  }
  int interrupts = 0;
  bool unplug_requested = false;
};

/// Does what a driver does: writes the entry of vector 0, and enables bus mastering and MSI-X.
void enable_vector(passthru::Device& device) {
  uint32_t msix = device.config_read(PCI_CAPABILITY_LIST, 1).value();
  for (int left = 48; msix != 0 && device.config_read(msix, 1).value() != PCI_CAP_ID_MSIX; --left)
    msix = left == 0 ? 0 : device.config_read(msix + PCI_CAP_LIST_NEXT, 1).value();
  if (msix == 0) throw passthru::Error(ENODEV, "the device has no MSI-X");
  const uint32_t table = device.config_read(msix + PCI_MSIX_TABLE, 4).value();
  const std::array<uint32_t, 4> entry{0xfee00000, 0, 0x41, 0};  // address, data, unmasked
  const auto bytes = std::as_bytes(std::span(entry));
  device.bar_write(table & PCI_MSIX_TABLE_BIR, table & PCI_MSIX_TABLE_OFFSET, bytes).value();
  device.config_write(PCI_COMMAND, 2, PCI_COMMAND_MASTER).value();
  device.config_write(msix + PCI_MSIX_FLAGS, 2, PCI_MSIX_FLAGS_ENABLE).value();
}

void run(const char* name, int seconds, Printer& vmm) {
  Loop loop;
  auto domain = passthru::Domain::create({.messages = &vmm, .events = &vmm}).value();
  loop.add(domain.forwarder_fd().value(), [&] { domain.forward().value(); });
  auto device =
      passthru::Device::open(domain, {.device = name, .flags = PASSTHRU_REPORT_UNPLUG}).value();
  for (const int fd : device.event_fds().value())
    loop.add(fd, [&] { device.handle_events().value(); });
  domain.inspect_serve({}, PASSTHRU_INSPECT_OWN_LOOP).value();
  loop.add(domain.inspect_fd().value(), [&] { domain.inspect_run().value(); });
  enable_vector(device);
  auto due = std::chrono::steady_clock::now();
  for (int checks = 0; checks / 10 < seconds && !vmm.unplug_requested; loop.run_once()) {
    if (std::chrono::steady_clock::now() < due) continue;
    due += std::chrono::milliseconds(100);
    device.check().value();
    if (checks++ % 10 == 0) device.trigger(0).value();
  }
}

}  // namespace

int main(int argc, char** argv) {
  const bool help = argc == 2 && std::strcmp(argv[1], "--help") == 0;
  const int seconds = argc == 3 ? std::atoi(argv[2]) : 0;
  if (seconds <= 0) {
    std::fputs("usage: epoll_loop DEVICE SECONDS\n", help ? stdout : stderr);
    return help ? 0 : 2;
  }
  try {
    Printer vmm;
    run(argv[1], seconds, vmm);
    return vmm.interrupts > 0 ? 0 : 1;
  } catch (const passthru::Error& error) {
    std::fprintf(stderr, "epoll_loop: %s\n", error.what());
    return 1;
  }
}
