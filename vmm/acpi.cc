// SPDX-License-Identifier: MIT
// The layout of the tables (ACPI 6.3, chapter 5.2; PCI Firmware 3.2, 4.1.2 for MCFG).
#include "vmm/acpi.h"

#include <array>
#include <numeric>
#include <span>
#include <string_view>

#include "vmm/bytes.h"
#include "vmm/memory_map.h"
#include "vmm/power.h"

namespace passthru {
namespace {

#include "dsdt.hex"  // made by iasl: dsdt_aml_code

constexpr size_t kHeaderSize = 36;
constexpr size_t kTableChecksum = 9;

class Table {
 public:
  Table(std::string_view signature, size_t size, uint8_t revision) : bytes_(size) {
    text(0, signature);
    set(8, 1, revision);
    text(10, "PASSTH");
    text(16, "PASSTHRU");
    set(24, 4, 1);  // OEM revision
    text(28, "PTHR");
    set(32, 4, 1);  // creator revision
  }
  void set(size_t offset, size_t width, uint64_t value) {
    to_bytes(value, std::span(bytes_).subspan(offset, width));
  }
  void text(size_t offset, std::string_view characters) {
    for (const char c : characters) bytes_[offset++] = static_cast<std::byte>(c);
  }
  void append(size_t width, uint64_t value) {
    bytes_.resize(bytes_.size() + width);
    set(bytes_.size() - width, width, value);
  }
  /// Sets the generic address structure (5.2.3.2) of a port.
  void set_port(size_t offset, uint64_t port, unsigned bits) {
    constexpr uint64_t kSystemIo = 1;
    set(offset, 1, kSystemIo);
    set(offset + 1, 1, bits);
    set(offset + 3, 1, bits == 8 ? 1 : bits == 16 ? 2 : 3);  // access size: byte, word, dword
    set(offset + 4, 8, port);
  }
  std::vector<std::byte> finish() && {
    set(4, 4, bytes_.size());
    bytes_[kTableChecksum] = checksum(bytes_);
    return std::move(bytes_);
  }
  /// Returns the byte that makes the sum of all bytes zero.
  static std::byte checksum(std::span<const std::byte> bytes) {
    unsigned sum = 0;
    for (const std::byte byte : bytes) sum += std::to_integer<unsigned>(byte);
    return static_cast<std::byte>(0x100 - (sum & 0xFF));
  }

 private:
  std::vector<std::byte> bytes_;
};

std::vector<std::byte> rsdp(uint64_t xsdt) {
  constexpr size_t kSize = 36, kFirstPart = 20;
  std::vector<std::byte> bytes(kSize);
  const std::string_view signature = "RSD PTR ", oem = "PASSTH";
  for (size_t i = 0; i < signature.size(); ++i) bytes[i] = static_cast<std::byte>(signature[i]);
  for (size_t i = 0; i < oem.size(); ++i) bytes[9 + i] = static_cast<std::byte>(oem[i]);
  bytes[15] = std::byte{2};  // revision: with XSDT
  to_bytes(kSize, std::span(bytes).subspan(20, 4));
  to_bytes(xsdt, std::span(bytes).subspan(24, 8));
  bytes[8] = Table::checksum(std::span(bytes).first(kFirstPart));
  bytes[32] = Table::checksum(bytes);
  return bytes;
}

// 5.2.10: the firmware's own memory; needed by every machine with fixed ACPI hardware.
std::vector<std::byte> facs() {
  std::vector<std::byte> bytes(64);
  const std::string_view signature = "FACS";
  for (size_t i = 0; i < signature.size(); ++i) bytes[i] = static_cast<std::byte>(signature[i]);
  to_bytes(bytes.size(), std::span(bytes).subspan(4, 4));
  bytes[32] = std::byte{2};  // version
  return bytes;
}

// A PC with fixed ACPI hardware, PIC and PIT, not a "hardware-reduced" PC: every kernel finds its
// timer and its legacy interrupts there.
std::vector<std::byte> fadt(uint64_t facs_address, uint64_t dsdt_address) {
  constexpr uint64_t kLegacyDevices = 1 << 0, kNoVga = 1 << 2, kNoAspm = 1 << 4, kNoRtc = 1 << 5;
  constexpr uint64_t kWbinvd = 1 << 0, kHaltC1 = 1 << 2, kNoPowerButton = 1 << 4;
  constexpr uint64_t kNoSleepButton = 1 << 5, kNoRtcWake = 1 << 6, kTimer32Bit = 1 << 8;
  constexpr uint64_t kResetRegister = 1 << 10;
  constexpr uint64_t kNoC2 = 101, kNoC3 = 1001;  // latencies beyond the limit: not supported
  constexpr uint64_t kResetValue = 0x06;         // port 0xCF9: reset CPU, hard
  constexpr uint64_t kEvent = kPowerPort + PowerRegisters::kPm1Event;
  constexpr uint64_t kControl = kPowerPort + PowerRegisters::kPm1Control;
  constexpr uint64_t kTimer = kPowerPort + PowerRegisters::kPmTimer;

  Table table("FACP", 276, 6);
  table.set(36, 4, facs_address);
  table.set(40, 4, dsdt_address);
  table.set(46, 2, kSciGsi);
  table.set(56, 4, kEvent);
  table.set(64, 4, kControl);
  table.set(76, 4, kTimer);
  table.set(88, 1, 4);  // lengths of the three
  table.set(89, 1, 2);
  table.set(91, 1, 4);
  table.set(96, 2, kNoC2);
  table.set(98, 2, kNoC3);
  table.set(109, 2, kLegacyDevices | kNoVga | kNoAspm | kNoRtc);  // no 8042 either
  table.set(112, 4,
            kWbinvd | kHaltC1 | kNoPowerButton | kNoSleepButton | kNoRtcWake | kTimer32Bit |
                kResetRegister);
  table.set_port(116, kResetPort, 8);
  table.set(128, 1, kResetValue);
  table.set(131, 1, 3);  // minor revision: 6.3
  table.set(140, 8, dsdt_address);
  table.set_port(148, kEvent, 32);
  table.set_port(172, kControl, 16);
  table.set_port(208, kTimer, 32);
  return std::move(table).finish();
}

std::vector<std::byte> madt(unsigned cpus) {
  constexpr uint64_t kEnabled = 1, kDual8259 = 1, kActiveHighLevel = 0xD;
  Table table("APIC", kHeaderSize, 5);
  table.append(4, kLocalApic);
  table.append(4, kDual8259);
  for (unsigned cpu = 0; cpu < cpus; ++cpu) {
    table.append(2, 0x0800);  // type 0, 8 bytes: local APIC
    table.append(1, cpu);     // ACPI processor UID
    table.append(1, cpu);     // APIC id
    table.append(4, kEnabled);
  }
  table.append(2, 0x0C01);  // type 1, 12 bytes: IOAPIC
  table.append(2, 0);       // id
  table.append(4, kIoapic);
  table.append(4, 0);       // its first GSI
  table.append(2, 0x0A02);  // type 2, 10 bytes: an ISA interrupt's override. The SCI is level.
  table.append(1, 0);
  table.append(1, kSciGsi);
  table.append(4, kSciGsi);
  table.append(2, kActiveHighLevel);
  table.append(2, 0x0604);  // type 4, 6 bytes: LINT1 of all CPUs is the NMI
  table.append(1, 0xFF);
  table.append(2, 0);
  table.append(1, 1);
  return std::move(table).finish();
}

std::vector<std::byte> mcfg() {
  Table table("MCFG", kHeaderSize + 8, 1);
  table.append(8, kEcam);
  table.append(2, 0);  // segment
  table.append(1, 0);  // first and last bus
  table.append(1, (kEcamSize >> 20) - 1);
  table.append(4, 0);
  return std::move(table).finish();
}

/// Tables one after the other, each 64-byte aligned as the FACS must be.
class Image {
 public:
  Image(uint64_t address, size_t first_free) : address_(address), bytes_(first_free) {}
  uint64_t add(std::span<const std::byte> table) {
    bytes_.resize((bytes_.size() + 63) & ~size_t{63});
    const uint64_t at = address_ + bytes_.size();
    bytes_.insert(bytes_.end(), table.begin(), table.end());
    return at;
  }
  std::vector<std::byte> finish(std::span<const std::byte> first) && {
    std::copy(first.begin(), first.end(), bytes_.begin());
    return std::move(bytes_);
  }

 private:
  const uint64_t address_;
  std::vector<std::byte> bytes_;
};

/// Sets the range of a memory window in the host bridge's _CRS. 6.4.3.5: an address space
/// descriptor has a tag, its length, the resource type 0 for memory, flags, and then five fields of
/// `width`: granularity, minimum, maximum, translation, length. `old_begin` is the minimum in
/// dsdt.asl, which tells the descriptor from other bytes.
void set_window(std::span<std::byte> dsdt, uint8_t tag, size_t width, uint64_t old_begin,
                const AddressWindow& window) {
  constexpr size_t kFields = 6;
  const size_t length = kFields - 3 + 5 * width;
  const auto field = [width](std::span<std::byte> at, size_t index) {
    return at.subspan(kFields + index * width, width);
  };
  for (size_t offset = 0; offset + length + 3 <= dsdt.size(); ++offset) {
    const std::span<std::byte> at = dsdt.subspan(offset, length + 3);
    if (from_bytes(at.first(4)) != (tag | length << 8) || from_bytes(field(at, 1)) != old_begin) {
      continue;
    }
    const bool empty = window.size() == 0;
    to_bytes(empty ? 0 : window.begin, field(at, 1));
    to_bytes(empty ? 0 : window.end - 1, field(at, 2));
    to_bytes(window.size(), field(at, 4));
    return;
  }
}

std::vector<std::byte> dsdt_with(const BarWindows& windows) {
  constexpr uint8_t kDwordDescriptor = 0x87, kQwordDescriptor = 0x8A;
  const auto code = std::as_bytes(std::span(dsdt_aml_code));
  std::vector<std::byte> dsdt(code.begin(), code.end());
  set_window(dsdt, kDwordDescriptor, 4, kWindow32, windows.low);
  set_window(dsdt, kQwordDescriptor, 8, kWindow64, windows.high);
  dsdt[kTableChecksum] = std::byte{0};
  dsdt[kTableChecksum] = Table::checksum(dsdt);
  return dsdt;
}

}  // namespace

std::vector<std::byte> build_acpi_tables(uint64_t address, unsigned cpus,
                                         const BarWindows& windows) {
  Image image(address, 64);  // the RSDP's place
  const uint64_t dsdt = image.add(dsdt_with(windows));
  const uint64_t facs_address = image.add(facs());
  const std::array<uint64_t, 3> tables = {image.add(fadt(facs_address, dsdt)),
                                          image.add(madt(cpus)), image.add(mcfg())};
  Table xsdt("XSDT", kHeaderSize, 1);
  for (const uint64_t table : tables) xsdt.append(8, table);
  const uint64_t root = image.add(std::move(xsdt).finish());
  return std::move(image).finish(rsdp(root));
}

}  // namespace passthru
