// SPDX-License-Identifier: MIT
// `passthru msix trigger`: the kernel's loopback of a vector, and whether the interrupt arrives.
#include <fmt/format.h>
#include <poll.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <memory>
#include <string>

#include "mmap/msix_placement.h"
#include "pci/sysfs.h"
#include "tools/commands.h"
#include "tools/devices/device_words.h"
#include "tools/json.h"
#include "tools/msix/msix_commands.h"
#include "tools/vmm_client.h"
#include "vfio/device.h"
#include "vfio/dma_space.h"
#include "vfio/group.h"
#include "vfio/linux_kernel.h"

namespace passthru::tools {
namespace {

constexpr const char* kMsixTriggerFooter =
    "VFIO signals the vector's eventfd as if the device had interrupted. If a\n"
    "VMM with an inspect socket has the device, the guest gets that interrupt.\n"
    "The time is then from the call of the kernel to the message in the guest.\n"
    "The guest's driver treats the extra interrupt as spurious. A device that is\n"
    "bound to vfio-pci and free is opened for the test, which resets it.\n"
    "\n"
    "Exit status: 0 the interrupt arrived, 1 it did not arrive.\n"
    "\n"
    "Example:\n"
    "  sudo passthru msix trigger 0000:01:00.0 0";

using Clock = std::chrono::steady_clock;
constexpr int kMaxMs = 1000;

struct Outcome {
  bool arrived = false;
  bool pending = false;  ///< it waits for the guest to unmask the vector
  int64_t latency_ns = 0;
  bool by_vmm = false;
};

Result<Outcome> through_vmm(VmmClient& vmm, Bdf bdf, unsigned vector) {
  const auto answer =
      PASSTHRU_TRY(vmm.ask({{"request", "trigger"}, {"device", bdf.str()}, {"vector", vector}}));
  const auto latency = PASSTHRU_TRY(vmm.member(answer, "latency_ns", int64_t{0}));
  if (latency < 0) return tl::unexpected(vmm.not_understood("its latency is negative"));
  return Outcome{.arrived = PASSTHRU_TRY(vmm.member(answer, "arrived", false)),
                 .pending = PASSTHRU_TRY(vmm.member(answer, "pending", false)),
                 .latency_ns = latency,
                 .by_vmm = true};
}

// Triggers a vector of a free device, with an eventfd of its own.
Result<Outcome> through_vfio(Bdf bdf, unsigned vector) {
  LinuxKernel kernel;
  const Sysfs sysfs;
  DmaSpace nothing(kernel);
  DeviceHandle door = PASSTHRU_TRY(resolve_device(kernel, sysfs, bdf));
  door.use_rom = false;
  const auto device = PASSTHRU_TRY(
      VfioDevice::open(kernel, nothing, std::move(door), /*allow_unsafe_interrupts=*/true));
  const unsigned count = device->irq(Irq::Msix).count;
  if (vector >= count) {
    return tl::unexpected(
        Error{.code = EINVAL, .operation = "trigger a vector", .device = bdf.str(), .index = vector}
            .because(fmt::format("the device has {} vectors", count)));
  }
  const Fd eventfd = PASSTHRU_TRY(kernel.make_eventfd());
  const std::array<int, 1> bound = {eventfd.get()};
  PASSTHRU_TRY(device->bind_irqs(Irq::Msix, vector, bound));
  const auto start = Clock::now();
  PASSTHRU_TRY(device->act_on_irqs(Irq::Msix, IrqAction::Trigger, vector, 1));
  pollfd ready{.fd = eventfd.get(), .events = POLLIN, .revents = 0};
  const bool arrived = ::poll(&ready, 1, kMaxMs) == 1;
  const auto took = Clock::now() - start;
  PASSTHRU_TRY(device->disable_irqs(Irq::Msix));
  return Outcome{.arrived = arrived, .latency_ns = std::chrono::nanoseconds(took).count()};
}

Result<Outcome> trigger(Bdf bdf, unsigned vector, const VmmChoice& choice) {
  auto vmm = PASSTHRU_TRY(find_vmm(bdf, choice));
  return vmm ? through_vmm(*vmm, bdf, vector) : through_vfio(bdf, vector);
}

struct TriggerOptions {
  std::string device{};
  unsigned vector = 0;
  VmmChoice vmm{};
  bool json = false;
};

int run(const TriggerOptions& options) {
  const auto bdf = device_of(Sysfs(), options.device);
  if (!bdf) return wrong_usage(bdf.error());
  const auto outcome = trigger(*bdf, options.vector, options.vmm);
  if (!outcome) return report_error(outcome.error());
  if (options.json) {
    print_json({{"device", bdf->str()},
                {"vector", options.vector},
                {"arrived", outcome->arrived},
                {"pending", outcome->pending},
                {"latency_ns", outcome->arrived ? Json(outcome->latency_ns) : Json()},
                {"reached", outcome->by_vmm ? "guest" : "eventfd"}});
  } else if (outcome->arrived) {
    print_text(fmt::format("{}: vector {}: arrived {} after {:.1f} us\n", bdf->str(),
                           options.vector, outcome->by_vmm ? "in the guest" : "at its eventfd",
                           static_cast<double>(outcome->latency_ns) / 1000));
  } else {
    print_text(fmt::format("{}: vector {}: {}\n", bdf->str(), options.vector,
                           outcome->pending
                               ? "pending: the guest has it masked"
                               : "did not arrive within a second: 'passthru msix show' says more"));
  }
  return outcome->arrived ? kDone : kNo;
}

}  // namespace

void add_msix_trigger(CLI::App& msix, int& status) {
  CLI::App* command =
      msix.add_subcommand("trigger", "Signal a vector, and report whether it arrives");
  const auto options = std::make_shared<TriggerOptions>();
  command->add_option("DEVICE", options->device, kDeviceHelp)->type_name("")->required();
  command->add_option("VECTOR", options->vector, "Number of the vector, from 0")
      ->type_name("")
      ->required()
      ->transform(number_from(0, kMaxMsixVectors - 1));
  add_socket_options(*command, options->vmm);
  command->add_flag("--json", options->json, kJsonHelp);
  command->footer(kMsixTriggerFooter);
  command->callback([options, &status] { status = run(*options); });
}

}  // namespace passthru::tools
