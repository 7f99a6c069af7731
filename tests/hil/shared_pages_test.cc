// SPDX-License-Identifier: MIT
// Tests on real VFIO that BARs which share a host page work: those of an rtl8139, an ohci and an
// sdhci that the lab has packed into one page. The test borrows the devices.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <linux/pci_regs.h>
#include <unistd.h>

#include <array>
#include <cinttypes>
#include <cstdio>
#include <cstring>
#include <thread>

#include "base/small_file.h"
#include "device/assigned_device.h"
#include "mmap/bar_layout.h"
#include "pci/sysfs.h"
#include "tests/fakes/fake_hypervisor.h"
#include "tests/hil/borrowed_device.h"
#include "tests/hil/bound_devices.h"
#include "vfio/device.h"
#include "vfio/group.h"
#include "vfio/linux_kernel.h"

namespace passthru {
namespace {

using ::testing::Each;
using ::testing::SizeIs;

/// A register that identifies the device.
struct Identity {
  uint64_t offset;
  unsigned width;
  uint32_t mask;
  uint32_t value;
};

/// One of the three devices, and some of its registers.
struct Packed {
  const char* name;
  uint16_t vendor;
  uint16_t device;
  unsigned bar;  ///< the memory BAR
  std::vector<Identity> identity;
  uint64_t scratch;  ///< a register of 4 bytes that stores the written value, without other effects
  uint32_t scratch_bits;
  bool by_bytes;  ///< the scratch register can be accessed by bytes and words
};

const std::array<Packed, 3>& packed_devices() {
  static const std::array<Packed, 3> all = {{
      // IDR0 to IDR5 begin with the emulator's own prefix. TxConfig identifies the chip, an 8139C+.
      // MAR0 to MAR3 are the multicast filter.
      {"rtl8139",
       0x10ec,
       0x8139,
       1,
       {{0x00, 1, 0xff, 0x52}, {0x00, 4, 0x00ffffff, 0x005452}, {0x40, 4, 0x7cc00000, 0x74800000}},
       0x08,
       0xffffffff,
       true},
      // HcRevision; HcControlHeadED. An OHCI takes aligned accesses of 4 bytes only.
      {"pci-ohci", 0x106b, 0x003f, 0, {{0x00, 4, 0xff, 0x10}}, 0x20, 0xfffffff0, false},
      // Host Controller Version: specification 2.00; Capabilities: a base clock, and 3.3 V.
      // Argument.
      {"sdhci-pci",
       0x1b36,
       0x0007,
       0,
       {{0xfe, 2, 0xff, 0x01}, {0xfe, 1, 0xff, 0x01}, {0x40, 4, 0x01000000, 0x01000000}},
       0x08,
       0xffffffff,
       true},
  }};
  return all;
}

uint64_t host_page() {
  return static_cast<uint64_t>(::sysconf(_SC_PAGESIZE));
}

/// Returns the host address of a BAR from sysfs; 0 if it has no address.
uint64_t host_address(Bdf bdf, unsigned bar) {
  const auto text = read_file(Sysfs().function_path(bdf) / "resource");
  if (!text) return 0;
  size_t line = 0;
  for (; bar > 0; --bar) line = text->find('\n', line) + 1;
  uint64_t start = 0;
  return std::sscanf(text->c_str() + line, "%" SCNx64, &start) == 1 ? start : 0;
}

/// The three devices, borrowed and assigned to one guest. Skips if they are missing or not packed.
class PackedBars : public testing::Test {
 protected:
  void SetUp() override {
    std::string missing;
    for (const Packed& device : packed_devices()) {
      const auto found = functions_with(device.vendor, device.device);
      if (found.empty()) {
        missing += std::string(" ") + device.name;
      } else {
        bdfs.push_back(found.front());
      }
    }
    if (!missing.empty()) {
      GTEST_SKIP()
          << "missing:" << missing
          << ". Use: scripts/lab run --device rtl8139 --device pci-ohci --device sdhci-pci "
             "--pack BDF,BDF,BDF";
    }
    for (const Bdf bdf : bdfs) {
      auto device = BorrowedDevice::borrow(bdf);
      ASSERT_TRUE(device) << device.error().message();
      borrowed.push_back(std::move(*device));
    }
  }

  /// Opens all three and places their BARs at `guest + distance * n`.
  void assign(uint64_t guest, uint64_t distance) {
    for (size_t i = 0; i < bdfs.size(); ++i) {
      auto opened = AssignedDevice::open(
          domain, {.device = bdfs[i], .guest_address = {.device = static_cast<uint8_t>(i + 1)}},
          {.backend = tested_backend()});
      ASSERT_TRUE(opened) << opened.error().message();
      devices.push_back(std::move(*opened));
      bases.push_back(guest + i * distance);
      const unsigned bar = packed_devices()[i].bar;
      devices[i]->config_write(PCI_BASE_ADDRESS_0 + 4 * bar, 4, static_cast<uint32_t>(bases[i]));
      devices[i]->config_write(PCI_COMMAND, 2, PCI_COMMAND_MEMORY);
    }
  }

  uint32_t read(size_t device, uint64_t offset, unsigned width) const {
    std::array<std::byte, 4> bytes{};
    EXPECT_TRUE(domain_mmio().read(bases[device] + offset, std::span(bytes).first(width)));
    uint32_t value = 0;
    std::memcpy(&value, bytes.data(), sizeof value);
    return value;
  }
  void write(size_t device, uint64_t offset, unsigned width, uint32_t value) const {
    EXPECT_TRUE(domain_mmio().write(bases[device] + offset,
                                    std::as_bytes(std::span(&value, 1)).first(width)));
  }
  uint32_t scratch(size_t device) const {
    return read(device, packed_devices()[device].scratch, 4);
  }

  void expect_identity(size_t device) const {
    const Packed& known = packed_devices()[device];
    for (const auto& [offset, width, mask, value] : known.identity) {
      ASSERT_EQ(read(device, offset, width) & mask, value)
          << known.name << " at " << offset << ", " << width << " bytes";
    }
  }

  const AddressSpace& domain_mmio() const { return domain.mmio(); }

  std::vector<Bdf> bdfs;
  // Tear-down order: devices leave their guest before their drivers are restored.
  std::vector<std::unique_ptr<BorrowedDevice>> borrowed;
  std::shared_ptr<LinuxKernel> kernel = std::make_shared<LinuxKernel>();
  FakeHypervisor host{*kernel};
  mutable Domain domain{kernel, host};
  std::vector<std::unique_ptr<AssignedDevice>> devices;
  std::vector<uint64_t> bases;
};

TEST_F(PackedBars, ShareOneHostPageAndTheKernelMapsNoneOfThem) {
  std::vector<uint64_t> pages;
  DmaSpace dma(*kernel);
  for (size_t i = 0; i < bdfs.size(); ++i) {
    const unsigned bar = packed_devices()[i].bar;
    pages.push_back(host_address(bdfs[i], bar) / host_page());
    const auto group = assignable_group(Sysfs(), bdfs[i]);
    ASSERT_TRUE(group) << group.error().message();
    const auto device = VfioDevice::open(*kernel, dma, BoundDevice{bdfs[i], *group}.door());
    ASSERT_TRUE(device) << device.error().message();
    const RegionInfo& region = (*device)->region(static_cast<Region>(bar));
    EXPECT_EQ(region.size, 256U);
    EXPECT_TRUE(region.readable && region.writable);
    EXPECT_FALSE(region.mappable) << packed_devices()[i].name;
    EXPECT_FALSE((*device)->map(static_cast<Region>(bar), 0, host_page()));
  }
  ASSERT_NE(pages[0], 0U);
  EXPECT_THAT(pages, Each(pages[0]));
}

TEST_F(PackedBars, AreTrappedWholeWhereverTheGuestHasThem) {
  assign(kGuest, host_page());
  for (size_t i = 0; i < devices.size(); ++i) {
    for (const BarInspection& bar : devices[i]->inspect().bars) {
      if (bar.index != packed_devices()[i].bar) continue;
      EXPECT_EQ(bar.guest_address, bases[i]);
      ASSERT_THAT(bar.spans, SizeIs(1)) << packed_devices()[i].name;
      EXPECT_FALSE(bar.spans[0].mapped());
      EXPECT_EQ(bar.spans[0].size, 256U);
      EXPECT_EQ(bar.spans[0].kind, SpanKind::NotOffered);
    }
  }
  EXPECT_THAT(host.mappings(), SizeIs(0));
}

TEST_F(PackedBars, AnswerAllAtTheSameTime) {
  assign(kGuest, 0x100);  // in one page of the guest too
  std::vector<std::thread> vcpus;
  for (size_t i = 0; i < devices.size(); ++i) {
    vcpus.emplace_back([this, i] {
      const Packed& known = packed_devices()[i];
      for (uint32_t round = 1; round <= 500; ++round) {
        const uint32_t value = (round * 0x01010110U) & known.scratch_bits;
        write(i, known.scratch, 4, value);
        ASSERT_EQ(scratch(i), value) << known.name;
        expect_identity(i);
      }
    });
  }
  for (std::thread& vcpu : vcpus) vcpu.join();
}

TEST_F(PackedBars, BytesWordsAndDwordsAreExact) {
  assign(kGuest, host_page());
  for (size_t i = 0; i < devices.size(); ++i) {
    const auto& [name, vendor, device, bar, identity, at, bits, by_bytes] = packed_devices()[i];
    SCOPED_TRACE(name);
    write(i, at, 4, 0x44332211);
    EXPECT_EQ(scratch(i), 0x44332211 & bits);
    if (!by_bytes) continue;
    for (unsigned byte = 0; byte < 4; ++byte) EXPECT_EQ(read(i, at + byte, 1), 0x11 * (byte + 1));
    EXPECT_EQ(read(i, at, 2), 0x2211U);
    EXPECT_EQ(read(i, at + 2, 2), 0x4433U);
    EXPECT_EQ(read(i, at + 1, 2), 0x3322U) << "unaligned: byte by byte";
    write(i, at + 1, 1, 0xaa);
    EXPECT_EQ(scratch(i), 0x4433aa11U);
    write(i, at + 2, 2, 0xccbb);
    EXPECT_EQ(scratch(i), 0xccbbaa11U);
    write(i, at + 1, 2, 0x6655);
    EXPECT_EQ(scratch(i), 0xcc665511U);
  }
}

TEST_F(PackedBars, AWriteToOneIsNotSeenByTheOthers) {
  assign(kGuest, 0x100);
  for (size_t i = 0; i < devices.size(); ++i) write(i, packed_devices()[i].scratch, 4, 0);
  for (size_t written = 0; written < devices.size(); ++written) {
    const Packed& known = packed_devices()[written];
    write(written, known.scratch, 4, UINT32_MAX);
    for (size_t i = 0; i < devices.size(); ++i) {
      EXPECT_EQ(scratch(i), i == written ? known.scratch_bits : 0) << packed_devices()[i].name;
      expect_identity(i);
    }
    write(written, known.scratch, 4, 0);
  }
}

TEST_F(PackedBars, OneWhoseDecodeIsOffReadsOnesAndTheOthersGoOn) {
  assign(kGuest, 0x100);
  for (size_t off = 0; off < devices.size(); ++off) {
    devices[off]->config_write(PCI_COMMAND, 2, 0);
    for (size_t i = 0; i < devices.size(); ++i) {
      if (i != off) expect_identity(i);
    }
    std::array<std::byte, 4> bytes{};
    EXPECT_FALSE(domain_mmio().read(bases[off], bytes));
    EXPECT_THAT(bytes, Each(std::byte{0xff}));
    devices[off]->config_write(PCI_COMMAND, 2, PCI_COMMAND_MEMORY);
    expect_identity(off);
  }
}

}  // namespace
}  // namespace passthru
