// SPDX-License-Identifier: MIT
#include "mmap/config_space.h"

#include <fmt/format.h>
#include <linux/pci_regs.h>

#include <algorithm>
#include <utility>

#include "mmap/config_reader.h"
#include "pci/capability_list.h"

namespace passthru {
namespace {

constexpr uint32_t kDState = PCI_PM_CTRL_STATE_MASK;
constexpr unsigned kD0 = 0;
constexpr unsigned kD3Hot = 3;
constexpr uint16_t kDecode = PCI_COMMAND_IO | PCI_COMMAND_MEMORY;

/// The config region of a VFIO device.
class VfioConfig : public PhysicalConfig {
 public:
  explicit VfioConfig(std::shared_ptr<VfioDevice> device) : device_(std::move(device)) {}
  Result<void> read(uint32_t offset, std::span<std::byte> data) override {
    return device_->read(Region::Config, offset, data);
  }
  Result<void> write(uint32_t offset, std::span<const std::byte> data) override {
    return device_->write(Region::Config, offset, data);
  }

 private:
  const std::shared_ptr<VfioDevice> device_;
};

/// Returns whether the ROM can be read. Some devices announce a ROM but do not answer a read of it.
bool rom_is_readable(VfioDevice& device) {
  std::array<std::byte, 2> signature{};
  return device.region(Region::Rom).size >= signature.size() &&
         device.read(Region::Rom, 0, signature).has_value();
}

}  // namespace

Result<std::unique_ptr<ConfigSpace>> ConfigSpace::create(const std::shared_ptr<VfioDevice>& device,
                                                         const ConfigOptions& options) {
  ConfigSource source;
  source.registers = std::make_shared<VfioConfig>(device);
  source.size =
      static_cast<uint32_t>(std::min<uint64_t>(device->region(Region::Config).size, kSize));
  for (unsigned bar = 0; bar < kBars; ++bar) {
    source.region_sizes[bar] = device->region(static_cast<Region>(bar)).size;
  }
  const bool shown = options.rom && options.rom_size == 0;
  if (!shown || !rom_is_readable(*device)) source.region_sizes[kRomBar] = 0;
  source.msix_vectors = device->irq(Irq::Msix).count;
  source.msi_vectors = device->irq(Irq::Msi).count;
  source.page_size = device->page_size();
  source.bdf = device->bdf().str();
  return create(std::move(source), options).on(device->bdf().str());
}

Result<std::unique_ptr<ConfigSpace>> ConfigSpace::create(ConfigSource source,
                                                         const ConfigOptions& options) {
  constexpr const char* kOperation = "read config space";
  if (source.size < PCI_STD_HEADER_SIZEOF)
    return fail(EINVAL, kOperation, "it is shorter than the 64-byte header");
  const std::vector<std::byte> config = PASSTHRU_TRY(
      read_config(*source.registers, source.size, options.response_timeout, source.bdf));
  if (is_bridge(config)) return fail(EINVAL, kOperation, "the device is a bridge");
  std::unique_ptr<ConfigSpace> space(new ConfigSpace(std::move(source), options));
  PASSTHRU_TRY(space->describe(config));
  PASSTHRU_TRY(options.running ? space->keep_decode() : space->force_decode());
  return space;
}

ConfigSpace::ConfigSpace(ConfigSource source, const ConfigOptions& options)
    : source_(std::move(source)), options_(options), bits_(source_.registers, source_.size) {}

uint32_t ConfigSpace::read(uint32_t offset, unsigned width) {
  return bits_.read(offset, width);
}

ConfigChange ConfigSpace::write(uint32_t offset, unsigned width, uint32_t value) {
  const BarAddresses placed = placement();
  const unsigned power = power_state();
  const uint16_t control = msix_control();
  const std::optional<MsiRegisters> registers = msi();

  ConfigChange change;
  change.before_ = bits_.write(offset, width, value);
  for (const ResetBit& bit : reset_bits_) {
    if (bit.offset < offset || bit.offset - offset >= width || bit.offset == 0) continue;
    if ((value >> (8 * (bit.offset - offset)) & bit.mask) != 0) change.reset_requested = bit.kind;
  }
  settle_power_state(power, change);
  change.decode_changed = placement() != placed;
  if (msix_control() != control) change.msix_control = msix_control();
  change.msi_changed = msi() != registers;
  return change;
}

/// Refuses a D-state that the device does not have (PCI PM 1.2, 3.2.4). Leaving D3hot may request a
/// reset.
void ConfigSpace::settle_power_state(unsigned before, ConfigChange& change) {
  const unsigned now = power_state();
  if (now == before) return;
  if ((d_states_ & 1U << now) == 0) {
    bits_.set_value(pm_ + PCI_PM_CTRL, 2, kDState, before);
    return;
  }
  change.power_state = now;
  if (before == kD3Hot && now == kD0 && loses_state_in_d3_) {
    change.reset_requested = GuestReset::LeftD3Hot;
  }
}

void ConfigSpace::undo(const ConfigChange& change) {
  bits_.undo(change.before_);
}

Result<void> ConfigSpace::reset() {
  bits_.reset();
  return force_decode();
}

/// Sets the forced decode bits. All other bits of COMMAND become 0, as after power-on.
Result<void> ConfigSpace::force_decode() {
  const std::array<std::byte, 2> command{static_cast<std::byte>(forced_command_), std::byte{0}};
  return source_.registers->write(PCI_COMMAND, command);
}

/// Turns the forced decode bits on if one is off, and leaves the other bits of COMMAND as they are.
Result<void> ConfigSpace::keep_decode() {
  std::array<std::byte, 2> command{};
  PASSTHRU_TRY(source_.registers->read(PCI_COMMAND, command));
  const auto forced = static_cast<std::byte>(forced_command_);
  if ((command[0] & forced) == forced) return {};
  command[0] |= forced;
  return source_.registers->write(PCI_COMMAND, command);
}

Result<void> ConfigSpace::load(const ConfigBits::Bytes& bytes) {
  const unsigned power = pm_ == 0 ? kD0 : bytes[pm_ + PCI_PM_CTRL] & kDState;
  if ((d_states_ & 1U << power) == 0) {
    return fail(EINVAL, "load config space", fmt::format("the device has no state D{}", power));
  }
  bits_.load(bytes);
  return {};
}

BarAddresses ConfigSpace::placement() const {
  BarAddresses placement;
  for (unsigned bar = 0; bar < kBars; ++bar) placement[bar] = decoded(bar);
  return placement;
}

std::optional<uint64_t> ConfigSpace::decoded(unsigned bar) const {
  const BarInfo& shape = shapes_[bar];
  const uint16_t enable = shape.io ? PCI_COMMAND_IO : PCI_COMMAND_MEMORY;
  if (shape.size == 0 || power_state() != kD0 || (command() & enable) == 0) return std::nullopt;

  const uint32_t reg = bar == kRomBar ? uint32_t{PCI_ROM_ADDRESS} : PCI_BASE_ADDRESS_0 + 4 * bar;
  const uint32_t low = bits_.value(reg, 4);
  if (bar == kRomBar && (low & PCI_ROM_ADDRESS_ENABLE) == 0) return std::nullopt;
  uint64_t address = low;
  if (shape.is_64bit) address |= uint64_t{bits_.value(reg + 4, 4)} << 32;
  address &= ~(shape.size - 1);

  // 0: the BAR is not assigned. All ones: the guest is sizing it with decode on. A guest sizes the
  // lower half of a 64-bit BAR first. The BAR must not appear just below 4 GiB meanwhile, where the
  // platform's own devices are.
  if (address == 0 || address == (~(shape.size - 1) & UINT32_MAX) || address == ~(shape.size - 1)) {
    return std::nullopt;
  }
  return address;
}

uint16_t ConfigSpace::command() const {
  return static_cast<uint16_t>(bits_.value(PCI_COMMAND, 2) & kDecode);
}

unsigned ConfigSpace::power_state() const {
  return pm_ == 0 ? kD0 : bits_.value(pm_ + PCI_PM_CTRL, 2) & kDState;
}

uint16_t ConfigSpace::msix_control() const {
  return msix_ ? static_cast<uint16_t>(bits_.value(msix_->capability + uint32_t{PCI_MSIX_FLAGS}, 2))
               : uint16_t{0};
}

std::optional<MsiRegisters> ConfigSpace::msi() const {
  if (msi_ == 0) return std::nullopt;
  MsiRegisters registers;
  registers.control = static_cast<uint16_t>(bits_.value(msi_ + PCI_MSI_FLAGS, 2));
  registers.address = bits_.value(msi_ + PCI_MSI_ADDRESS_LO, 4);
  if (msi_64bit_) registers.address |= uint64_t{bits_.value(msi_ + PCI_MSI_ADDRESS_HI, 4)} << 32;
  registers.data = bits_.value(msi_ + (msi_64bit_ ? PCI_MSI_DATA_64 : PCI_MSI_DATA_32), 2);
  if (msi_maskable_)
    registers.mask = bits_.value(msi_ + (msi_64bit_ ? PCI_MSI_MASK_64 : PCI_MSI_MASK_32), 4);
  return registers;
}

uint32_t ConfigSpace::msi_pending_offset() const {
  return msi_ + (msi_64bit_ ? PCI_MSI_PENDING_64 : PCI_MSI_PENDING_32);
}

bool ConfigSpace::covers_msi_pending(uint32_t offset, unsigned width) const {
  if (msi_ == 0 || !msi_maskable_ || offset >= kSize) return false;
  return offset < msi_pending_offset() + 4 && msi_pending_offset() < offset + width;
}

void ConfigSpace::set_msi_pending(uint32_t bits) {
  bits_.set_value(msi_pending_offset(), 4, UINT32_MAX, bits);
}

}  // namespace passthru
