// SPDX-License-Identifier: MIT
// AssignedDevice: opening, and the parts of an open device.
#include <linux/pci_regs.h>

#include <fmt/format.h>

#include <cerrno>
#include <filesystem>
#include <utility>

#include "base/small_file.h"
#include "device/assigned_device_impl.h"
#include "device/vmm_placer.h"
#include "mmap/address_space_placer.h"

namespace passthru {
namespace {

/// Returns the pin; 0 is INTA#. Does not read through the guest's view: there, a failed read would
/// look like a device without a pin.
Result<std::optional<unsigned>> intx_pin(VfioDevice& device) {
  uint8_t pin = 0;
  PASSTHRU_TRY(
      device.read(Region::Config, PCI_INTERRUPT_PIN, std::as_writable_bytes(std::span{&pin, 1})));
  // The register holds 1 for INTA#, and 0 for no pin.
  if (pin < 1 || pin > 4) return std::nullopt;
  return pin - 1U;
}

/// Opens a device by its group if the group is attached already. The group is open here, so the
/// device's own node would be busy.
void follow_group(const DmaSpace& dma, std::optional<Backend> wanted, DeviceHandle& handle) {
  if (!wanted && !handle.given && dma.has_group(handle.group)) handle.backend = Backend::Group;
}

/// Checks the token before the kernel, which only reports EINVAL. A virtual function's token is
/// part of the name that its group is asked for. Linux 6.12 takes no token at the device's own
/// node.
Result<void> show_token(const Sysfs& sysfs, const AssignOptions& options, DeviceHandle& handle) {
  const PciFunction function = PASSTHRU_TRY(sysfs.function(handle.bdf));
  std::optional<PciFunction> physical;
  if (function.physical_function)
    physical = PASSTHRU_TRY(sysfs.function(*function.physical_function));
  PASSTHRU_TRY(check_vf_token(function, physical));
  handle.vf_token = options.vf_token;
  if (!physical || handle.backend == Backend::Group) return {};
  return tl::unexpected(
      Error{.code = ENOTSUP,
            .operation = "show a VF token",
            .device = handle.bdf.str(),
            .cause = "a virtual function accepts a VF token only through its group",
            .advice = "Use --backend=group"});
}

/// Marks the device as handed over. Its group may be here already, for another device.
Result<void> take_over(const DmaSpace& dma, DeviceHandle& handle) {
  handle.attachment = Attachment::HandedOver;
  if (handle.given || (handle.backend == Backend::Group && dma.has_group(handle.group))) return {};
  return tl::unexpected(
      Error{.code = EINVAL,
            .operation = "go on with the device",
            .device = handle.bdf.str(),
            .cause = "its descriptor was not handed over",
            .advice = "Pass its own descriptor or its group's from the process before"});
}

/// Returns null if the guest gets the device's own ROM or no ROM.
Result<std::shared_ptr<RomImage>> load_rom(const RomChoice& rom) {
  if (rom.kind != RomChoice::Kind::File) return std::shared_ptr<RomImage>();
  return RomImage::load(rom.file);
}

}  // namespace

Result<std::unique_ptr<AssignedDevice::Impl>> AssignedDevice::Impl::open(
    Domain& domain, const AssignOptions& options, DeviceSource source) {
  const auto wanted = source.backend;
  DeviceHandle handle = PASSTHRU_TRY(resolve_device(domain.kernel(), domain.sysfs(), options.device,
                                                    std::move(source), domain.dma().has_iommufd()));
  AssignOptions known = options;
  known.device = handle.bdf;
  follow_group(domain.dma(), wanted, handle);
  if (options.start == DeviceStart::Keep) PASSTHRU_TRY(take_over(domain.dma(), handle));
  if (options.vf_token) PASSTHRU_TRY(show_token(domain.sysfs(), options, handle));
  handle.max_vectors = options.max_vectors;
  handle.use_rom = options.rom.kind == RomChoice::Kind::Device;
  const auto rom = PASSTHRU_TRY(load_rom(options.rom).on(known.device.str()));
  auto device = PASSTHRU_TRY(VfioDevice::open(domain.kernel(), domain.dma(), std::move(handle),
                                              options.allow_unsafe_interrupts, &domain.sysfs()));
  const bool keeps = options.start == DeviceStart::Keep;
  std::unique_ptr<Impl> impl(new Impl(domain, known, device));
  const bool was_reset = !keeps && PASSTHRU_TRY(impl->reset_at_start(*device));
  device.reset();
  PASSTHRU_TRY(impl->assemble(rom, was_reset).on(known.device.str()));
  domain.bus_resets().set_opened(*impl);
  return impl;
}

AssignedDevice::Impl::Impl(Domain& domain, const AssignOptions& options,
                           std::shared_ptr<VfioDevice> device)
    : domain_(domain),
      options_(options),
      device_(std::move(device)),
      phase_(options.start == DeviceStart::Keep ? Phase::Waiting : Phase::Running),
      accessed_(options.start == DeviceStart::Keep) {
  domain_.peers().add_device();
  domain_.bus_resets().add(*this);
}

Result<void> AssignedDevice::Impl::assemble(const std::shared_ptr<RomImage>& rom, bool was_reset) {
  MutexLock lock(device_mutex_);
  const bool running = phase_ == Phase::Waiting;
  auto config = ConfigSpace::create(device_, {.msi = true,
                                              .intx = true,
                                              .rom = options_.rom.kind != RomChoice::Kind::Off,
                                              .rom_size = rom ? rom->size() : 0,
                                              .msix = options_.msix,
                                              .multifunction = options_.multifunction,
                                              .on_root_bus = options_.on_root_bus,
                                              .resets = options_.reset,
                                              .running = running,
                                              .response_timeout = options_.response_timeout});
  if (!config) return tl::unexpected(explain_silence(std::move(config).error(), was_reset));
  config_ = std::move(*config);
  tell_limits();
  interrupts_ = std::make_unique<Interrupts>(
      device_, domain_.interrupts(), *this,
      Interrupts::Options{.guest_address = options_.guest_address,
                          .msix = config_->msix(),
                          .msi = config_->msi().has_value(),
                          .intx_pin = PASSTHRU_TRY(intx_pin(*device_)),
                          .wake = [device = device_] { return device->turn_decode_on(); },
                          .max_per_second = options_.max_interrupts_per_second});
  std::vector<BarOverlay> overlays = msix_overlays();
  if (rom) {
    overlays.push_back({.bar = kRomBar,
                        .size = config_->bars()[kRomBar].size,
                        .target = rom,
                        .kind = SpanKind::Rom});
  }
  bars_ = PASSTHRU_TRY(Bars::create(device_, make_placer(), config_->bars(), std::move(overlays),
                                    {.excluded = options_.unmapped_bars}));
  tell_refused_bars();
  notices_ = PASSTHRU_TRY(EventIrqs::make(device_));
  {
    MutexLock intx_lock(intx_mutex_);
    intx_ = interrupts_.get();
  }
  if (running) return {};
  PASSTHRU_TRY(notices_->bind());
  bar_access_.add(bars_->targets());
  interrupts_->start();
  return {};
}

/// Names the reset after which the device is silent, and its power state.
Error AssignedDevice::Impl::explain_silence(Error error, bool was_reset) const {
  if (error.code != EIO || error.operation != "open the device") return error;
  const std::filesystem::path directory = domain_.sysfs().function_path(options_.device);
  const std::string methods = first_line(directory / "reset_method");
  if (was_reset) {
    error.cause += " after its reset";
    if (!methods.empty()) error.cause += fmt::format(" ({})", methods.substr(0, methods.find(' ')));
  }
  const std::string power = first_line(directory / "power_state");
  if (!power.empty() && power != "D0")
    error.cause += fmt::format("; the kernel has it in {}", power);
  return error;
}

std::unique_ptr<BarPlacer> AssignedDevice::Impl::make_placer() const {
  if (options_.placement == Placement::Vmm) {
    return std::make_unique<VmmPlacer>(domain_, options_.guest_address);
  }
  return std::make_unique<AddressSpacePlacer>(domain_.mmio(), domain_.ports());
}

std::vector<BarOverlay> AssignedDevice::Impl::msix_overlays() {
  if (!config_->msix()) return {};
  const MsixLayout& layout = config_->msix_placement().layout;
  std::vector<BarOverlay> overlays = {{.bar = layout.table_bar,
                                       .offset = layout.table_offset,
                                       .size = layout.table_size(),
                                       .target = interrupts_->msix()->table_target(),
                                       .kind = SpanKind::MsixTable},
                                      {.bar = layout.pba_bar,
                                       .offset = layout.pba_offset,
                                       .size = layout.pba_size(),
                                       .target = interrupts_->msix()->pba_target(),
                                       .kind = SpanKind::MsixPba}};
  if (const auto& hidden = config_->msix_placement().hidden) {
    overlays.push_back({.bar = hidden->bar, .offset = hidden->offset, .size = hidden->size});
  }
  return overlays;
}

Result<std::unique_ptr<AssignedDevice>> AssignedDevice::open(Domain& domain,
                                                             const AssignOptions& options,
                                                             DeviceSource source) {
  auto impl = PASSTHRU_TRY(Impl::open(domain, options, std::move(source)));
  return std::unique_ptr<AssignedDevice>(new AssignedDevice(std::move(impl)));
}

}  // namespace passthru
