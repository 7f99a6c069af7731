// SPDX-License-Identifier: MIT
// Creation, run and end of a machine, in their order.
#include "vmm/vm.h"

#include <fmt/format.h>
#include <poll.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <system_error>
#include <utility>

#include "vmm/acpi.h"
#include "vmm/host_bridge.h"
#include "vmm/image_file.h"
#include "vmm/kernel_image.h"
#include "vmm/memory_map.h"
#include "vmm/power.h"
#include "vmm/reserved_ranges.h"
#include "vmm/stop_signal.h"

namespace passthru {

Vm::Vm(const VmOptions& options)
    : console_in_(options.console_in), console_out_(options.console_out) {}

Vm::~Vm() {
  stop_threads();
}

Result<std::unique_ptr<Vm>> Vm::create(const VmOptions& options, std::shared_ptr<Kernel> kernel) {
  PASSTHRU_TRY(options.check());
  std::unique_ptr<Vm> vm(new Vm(options));
  vm->wake_ = Fd(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!vm->wake_) return fail(errno, "create an eventfd");
  PASSTHRU_TRY(vm->load(options, *kernel));
  PASSTHRU_TRY(vm->make_machine(options, std::move(kernel)));
  PASSTHRU_TRY(vm->make_fixed_devices());
  PASSTHRU_TRY(vm->assign_devices(options));
  PASSTHRU_TRY(vm->describe_machine(options));
  PASSTHRU_TRY(vm->look_after_devices(options));
  PASSTHRU_TRY(vm->make_vcpus(options.cpus));
  return vm;
}

Result<void> Vm::load(const VmOptions& options, Kernel& kernel) {
  const auto file = PASSTHRU_TRY(read_image(options.kernel, "the kernel image"));
  const KernelImage image = PASSTHRU_TRY(parse_kernel(file, options.kernel));
  std::vector<std::byte> initrd;
  if (!options.initrd.empty()) initrd = PASSTHRU_TRY(read_image(options.initrd, "the initrd"));
  // Before anything is opened: the memory is where all devices can use it.
  RamLayout layout = PASSTHRU_TRY(
      RamLayout::around(options.memory, reserved_ranges(kernel, Sysfs(), options.devices)));
  memory_ = PASSTHRU_TRY(GuestMemory::create(std::move(layout), options.memory_from));
  const BootPlan plan = PASSTHRU_TRY(plan_boot(memory_->layout(), image, initrd, options.append));
  PASSTHRU_TRY(plan.write_to(*memory_));
  entry_ = plan.entry;
  return {};
}

Result<void> Vm::make_machine(const VmOptions& options, std::shared_ptr<Kernel> kernel) {
  machine_ = PASSTHRU_TRY(options.kvm_fd < 0 ? KvmMachine::create()
                                             : KvmMachine::create_on(options.kvm_fd));
  if (options.cpus > machine_->max_cpus()) {
    return fail(EINVAL, "make a virtual machine",
                fmt::format("this KVM allows {} CPUs", machine_->max_cpus()));
  }
  physical_bits_ = physical_bits(PASSTHRU_TRY(machine_->supported_cpuid()));
  PASSTHRU_TRY(check_reach(memory_->layout(), physical_bits_));
  PASSTHRU_TRY(machine_->add_memory(*memory_));
  host_ = PASSTHRU_TRY(KvmHypervisor::create(
      machine_->vm(), {.first_slot = KvmMachine::kFirstFreeSlot,
                       .first_gsi = kPins,
                       .intx_gsi = [](Bdf bdf, unsigned pin) { return intx_gsi(bdf.device, pin); },
                       .msi_by_message = options.forward_interrupts,
                       .on_event = options.on_event}));
  domain_ = std::make_unique<Domain>(std::move(kernel), *host_);
  PASSTHRU_TRY(domain_->use_p2p(options.p2p));

  // RAM and the APICs are opaque to the address space: a BAR that the guest puts there does not
  // appear, as on a real bus.
  AddressSpaceChange opaque;
  opaque.add.push_back({.base = kIoapic, .size = 0x1000});
  opaque.add.push_back({.base = kLocalApic, .size = 0x100000});
  opaque.add.push_back({.base = kKvmIdentityPage, .size = 0x4000});
  for (const GuestMemory::Range& range : memory_->ranges()) {
    opaque.add.push_back({.base = range.address, .size = range.bytes.size()});
    PASSTHRU_TRY(domain_->add_memory(range.address, range.bytes));
  }
  static_cast<void>(PASSTHRU_TRY(domain_->mmio().commit(std::move(opaque))));
  return {};
}

Result<void> Vm::make_fixed_devices() {
  const auto reset = [this] { end(ExitReason::Reset); };
  const auto power_off = [this] { end(ExitReason::PowerOff); };
  serial_ = std::make_shared<Serial>(Serial::Wires{
      .interrupt = [this](bool level) { machine_->set_line(kSerialGsi, level); },
      .send = [this](std::byte byte) { console_->write(byte); },
      .room = [this] { wake(); },
  });
  PASSTHRU_TRY(bus_.plug(0, std::make_shared<HostBridge>()));

  AddressSpaceChange ports;
  ports.add = {
      {.base = kSerialPort, .size = Serial::kSize, .target = serial_},
      {.base = kKeyboardPort, .size = 1, .target = std::make_shared<KeyboardReset>(reset)},
      {.base = kPowerPort,
       .size = PowerRegisters::kSize,
       .target = std::make_shared<PowerRegisters>(power_off)},
      {.base = kPciConfigPort, .size = 8, .target = std::make_shared<ConfigPorts>(bus_, reset)},
  };
  static_cast<void>(PASSTHRU_TRY(domain_->ports().commit(std::move(ports))));
  AddressSpaceChange mmio;
  mmio.add = {{.base = kEcam, .size = kEcamSize, .target = std::make_shared<Ecam>(bus_)}};
  static_cast<void>(PASSTHRU_TRY(domain_->mmio().commit(std::move(mmio))));
  return {};
}

// Several arguments may name the descriptor that all devices share. It is taken over once.
Result<void> Vm::take_shared_descriptors(const VmOptions& options) {
  std::set<int> taken;
  for (const DeviceArgument& each : options.devices) {
    const std::string device = each.options.device == Bdf{} ? "" : each.options.device.str();
    const int iommufd = each.source.iommufd;
    if (iommufd >= 0 && taken.insert(iommufd).second) {
      PASSTHRU_TRY(domain_->dma().use_iommufd(Fd(iommufd)).on(device));
    }
    const int container = each.source.container_fd;
    if (container >= 0 && taken.insert(container).second) {
      PASSTHRU_TRY(domain_->dma().use_container(Fd(container)).on(device));
    }
  }
  return {};
}

Result<std::vector<BusPlace>> Vm::choose_places(const VmOptions& options) const {
  std::vector<PlaceRequest> requests;
  for (const DeviceArgument& each : options.devices) {
    // A device that is missing is refused when it is opened.
    const auto function = domain_->sysfs().function(each.options.device);
    requests.push_back({.device = each.options.device,
                        .is_virtual = function && function->physical_function.has_value(),
                        .address = each.address});
  }
  return place_on_bus(requests);
}

Result<void> Vm::assign_devices(const VmOptions& options) {
  // Whatever fails from here on, each descriptor is closed.
  std::vector<DeviceSource> sources;
  for (const DeviceArgument& each : options.devices) {
    sources.push_back({.backend = each.source.backend,
                       .cdev = Fd(each.source.cdev_fd),
                       .group = Fd(each.source.group_fd)});
  }
  PASSTHRU_TRY(take_shared_descriptors(options));
  const std::vector<BusPlace> places = PASSTHRU_TRY(choose_places(options));
  for (size_t at = 0; at < sources.size(); ++at) {
    AssignOptions device = options.devices[at].options;
    const Bdf address = places[at].address;
    device.guest_address = address;
    device.multifunction = places[at].multifunction;
    device.on_root_bus = true;
    auto function = std::make_shared<AssignedFunction>(
        PASSTHRU_TRY(AssignedDevice::open(*domain_, device, std::move(sources[at]))));
    PASSTHRU_TRY(bus_.plug(address.device, function, address.function));
    devices_.push_back(std::move(function));
  }
  return {};
}

std::vector<GuestBar> Vm::guest_bars() const {
  std::vector<GuestBar> bars;
  for (const auto& function : devices_) {
    const AssignedDevice& device = function->device();
    for (unsigned index = 0; index < kBars; ++index) {
      const BarInspection bar = device.bar_info(index);
      if (bar.size == 0 || bar.io) continue;
      bars.push_back(
          {.device = device.bdf(), .index = index, .size = bar.size, .is_64bit = bar.is_64bit});
    }
  }
  return bars;
}

// The windows depend on the devices, so the tables come last. BARs that no device reaches need no
// address of the IOMMU.
Result<void> Vm::describe_machine(const VmOptions& options) {
  AddressLimits limits{.ram = memory_->layout(), .physical_bits = physical_bits_};
  if (options.p2p == P2p::Off) {
    // No limit of the IOMMU.
  } else if (auto reachable = domain_->usable_iova_ranges()) {
    limits.reachable = std::move(*reachable);
  } else if (reachable.error().code != ENOTSUP) {  // a kernel that does not tell: before Linux 5.4
    return tl::unexpected(std::move(reachable).error());
  }
  const BarWindows windows = PASSTHRU_TRY(choose_windows(guest_bars(), limits));
  return memory_->write(kAcpiTables, build_acpi_tables(kAcpiTables, options.cpus, windows));
}

Result<void> Vm::look_after_devices(const VmOptions& options) {
  std::vector<AssignedDevice*> devices;
  for (const auto& function : devices_) devices.push_back(&function->device());
  if (!devices.empty()) monitor_ = PASSTHRU_TRY(DeviceMonitor::start(devices, options.audit));
  if (options.inspect) {
    inspect_ = PASSTHRU_TRY(
        InspectServer::start(*domain_, devices, *options.inspect, options.inspect_access));
  }
  return {};
}

Result<void> Vm::make_vcpus(unsigned cpus) {
  const auto supported = PASSTHRU_TRY(machine_->supported_cpuid());
  for (unsigned id = 0; id < cpus; ++id) {
    auto vcpu = Vcpu::create(*machine_, id, cpuid_of(supported, id, cpus));
    if (!vcpu) return tl::unexpected(std::move(vcpu).error());
    vcpus_.push_back(std::move(*vcpu));
  }
  return vcpus_.front()->start_at(entry_);
}

std::vector<Inspection> Vm::inspect() const {
  std::vector<Inspection> inspections;
  for (const auto& device : devices_) inspections.push_back(device->inspect());
  return inspections;
}

void Vm::end(ExitReason reason) {
  int running = kRunning;
  ended_.compare_exchange_strong(running, static_cast<int>(reason));
  wake();
}

void Vm::wake() {
  const uint64_t one = 1;
  // Fails only if the counter is full: then the waiting thread is awake already.
  static_cast<void>(::write(wake_.get(), &one, sizeof(one)) == sizeof(one));
}

void Vm::run_vcpu(Vcpu& vcpu) {
  const auto ended = vcpu.run(domain_->ports(), domain_->mmio());
  if (!ended) {
    MutexLock lock(failure_mutex_);
    if (!failure_) failure_ = ended.error();
    end(ExitReason::Stopped);
  } else if (*ended != Vcpu::End::Stopped) {
    end(*ended == Vcpu::End::PowerOff ? ExitReason::PowerOff : ExitReason::Reset);
  }
}

Result<void> Vm::start_threads() {
  PASSTHRU_TRY(install_stop_signal());
  try {
    for (auto& vcpu : vcpus_) {
      threads_.emplace_back([this, &vcpu = *vcpu] { run_vcpu(vcpu); });
      ::pthread_setname_np(threads_.back().native_handle(),
                           fmt::format("vcpu {}", threads_.size() - 1).c_str());
    }
  } catch (const std::system_error& error) {
    return fail(error.code().value(), "start a vCPU's thread");
  }
  return {};
}

void Vm::serve_console() {
  std::array<std::byte, Serial::kFifoSize> bytes{};
  while (ended_ == kRunning) {
    const size_t room = serial_->room();
    std::array<pollfd, 2> ready = {
        {{.fd = wake_.get(), .events = POLLIN, .revents = 0},
         {.fd = room ? console_->input() : -1, .events = POLLIN, .revents = 0}}};
    if (::poll(ready.data(), ready.size(), -1) < 0) continue;
    if (ready[0].revents) {
      uint64_t wakes = 0;
      static_cast<void>(::read(wake_.get(), &wakes, sizeof(wakes)) == sizeof(wakes));
    }
    if (ready[1].revents) {
      const auto input = console_->read(std::span(bytes).first(room));
      serial_->receive(std::span(bytes).first(input.size));
      if (input.quit) stop();
    }
  }
}

void Vm::stop_threads() {
  for (auto& vcpu : vcpus_) vcpu->stop();
  for (auto& thread : threads_) thread.join();
  threads_.clear();
}

Result<ExitReason> Vm::run() {
  console_ = PASSTHRU_TRY(Console::open(console_in_, console_out_));
  const auto started = start_threads();
  if (started) serve_console();
  stop_threads();
  console_dropped_ = console_->finish();
  console_.reset();
  if (!started) return tl::unexpected(started.error());
  MutexLock lock(failure_mutex_);
  if (failure_) return tl::unexpected(*failure_);
  return static_cast<ExitReason>(ended_.load());
}

}  // namespace passthru
