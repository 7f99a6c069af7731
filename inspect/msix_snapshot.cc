// SPDX-License-Identifier: MIT
// The snapshot through VFIO, and the choice between VFIO and sysfs.
#include "inspect/msix_snapshot.h"

#include <linux/pci_regs.h>

#include <fmt/format.h>

#include <memory>
#include <utility>

#include "irq/physical_table.h"
#include "vfio/device.h"
#include "vfio/dma_space.h"
#include "vfio/group.h"

namespace passthru {
namespace {

// Switches memory decode on while it exists. Without it VFIO refuses accesses to BARs.
class MemoryDecode {
 public:
  static Result<MemoryDecode> on(std::shared_ptr<VfioDevice> device) {
    uint16_t command = 0;
    PASSTHRU_TRY(
        device->read(Region::Config, PCI_COMMAND, std::as_writable_bytes(std::span(&command, 1))));
    MemoryDecode decode(std::move(device), command);
    if ((command & PCI_COMMAND_MEMORY) == 0)
      PASSTHRU_TRY(decode.write(command | PCI_COMMAND_MEMORY));
    return decode;
  }
  MemoryDecode(MemoryDecode&& other) noexcept = default;
  ~MemoryDecode() {
    if (device_ && (before_ & PCI_COMMAND_MEMORY) == 0)
      ignore(write(before_), "the device is closed next");
  }

 private:
  MemoryDecode(std::shared_ptr<VfioDevice> device, uint16_t before)
      : device_(std::move(device)), before_(before) {}
  Result<void> write(int command) {
    const auto value = static_cast<uint16_t>(command);
    return device_->write(Region::Config, PCI_COMMAND, std::as_bytes(std::span(&value, 1)));
  }

  std::shared_ptr<VfioDevice> device_;
  uint16_t before_;
};

}  // namespace

Result<MsixLayout> msix_layout_of(const PciFunction& function) {
  if (const auto layout = find_msix(function.config)) return *layout;
  if (function.config_error)
    return tl::unexpected(Error(*function.config_error).on(function.bdf.str()));
  if (function.config.empty()) {
    return tl::unexpected(
        Error{.code = EAGAIN,
              .operation = "find the MSI-X table",
              .device = function.bdf.str(),
              .cause = "the device is in D3cold, and a read of its config space would wake it"});
  }
  if (function.config.size() <= PCI_STD_HEADER_SIZEOF) {
    return tl::unexpected(
        Error{.code = EACCES,
              .operation = "find the MSI-X table",
              .device = function.bdf.str(),
              .cause = "only root can read more than the first 64 bytes of config space",
              .advice = "Run the command with sudo"});
  }
  return tl::unexpected(Error{.code = ENODEV,
                              .operation = "find the MSI-X table",
                              .device = function.bdf.str(),
                              .cause = "the device has no MSI-X capability",
                              .advice = "Run 'passthru list' to see which devices have vectors"});
}

Result<MsixSnapshot> snapshot_from_vfio(Kernel& kernel, const Sysfs& sysfs, Bdf bdf) {
  const PciFunction function = PASSTHRU_TRY(sysfs.function(bdf));
  const MsixLayout layout = PASSTHRU_TRY(msix_layout_of(function));
  DmaSpace nothing(kernel);  // no memory: the device can reach nothing
  // No guest uses the device, so interrupt remapping does not matter.
  DeviceHandle door = PASSTHRU_TRY(resolve_device(kernel, sysfs, bdf));
  door.use_rom = false;
  const std::shared_ptr<VfioDevice> device = PASSTHRU_TRY(
      VfioDevice::open(kernel, nothing, std::move(door), /*allow_unsafe_interrupts=*/true));
  const MemoryDecode decode = PASSTHRU_TRY(MemoryDecode::on(device));
  const PhysicalTable table(device, layout);
  if (!table.visible()) {
    return tl::unexpected(Error{
        .code = ENOTSUP,
        .operation = "map the MSI-X table",
        .device = bdf.str(),
        .cause =
            fmt::format("VFIO does not allow a mapping of that part of BAR {}", layout.table_bar)});
  }
  MsixSnapshot snapshot{.source = MsixSnapshot::Source::Vfio,
                        .layout = layout,
                        .control = table.control().value_or(0xffff),
                        .vectors = std::vector<MsixSnapshot::Vector>(layout.vectors)};
  for (unsigned vector = 0; vector < layout.vectors; ++vector) {
    snapshot.vectors[vector] = {.entry = table.entry(vector).value_or(MsixEntry{}),
                                .pending = (table.pending(vector / 64) >> vector % 64 & 1) != 0};
  }
  return snapshot;
}

Result<MsixSnapshot> snapshot_msix(Kernel& kernel, const Sysfs& sysfs, Bdf bdf) {
  const PciFunction function = PASSTHRU_TRY(sysfs.function(bdf));
  if (!function.on_vfio) return snapshot_from_sysfs(sysfs, bdf);
  auto snapshot = snapshot_from_vfio(kernel, sysfs, bdf);
  // Another process has the device, or it needs a token that only its users know.
  const int refused = snapshot ? 0 : snapshot.error().code;
  if (refused == EBUSY || (refused == EACCES && function.physical_function))
    return snapshot_from_sysfs(sysfs, bdf);
  return snapshot;
}

}  // namespace passthru
