// SPDX-License-Identifier: MIT
// Tests of the VMM's machine description for its guest: ACPI tables and CPUID.
#include <gtest/gtest.h>

#include <algorithm>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "kvm/kvm_table.h"
#include "vmm/acpi.h"
#include "vmm/bar_windows.h"
#include "vmm/bytes.h"
#include "vmm/cpuid.h"
#include "vmm/memory_map.h"
#include "vmm/ram_layout.h"

namespace passthru {
namespace {

class AcpiTest : public testing::Test {
 protected:
  static constexpr uint64_t kBase = 0xE0000;

  void build(unsigned cpus, const BarWindows& windows = {}) {
    image_ = build_acpi_tables(kBase, cpus, windows);
  }
  uint64_t word(uint64_t address, size_t width) const {
    return from_bytes(std::span(image_).subspan(address - kBase, width));
  }
  std::string text(uint64_t address, size_t size) const {
    return {reinterpret_cast<const char*>(image_.data()) + (address - kBase), size};
  }
  unsigned sum(uint64_t address, size_t size) const {
    unsigned total = 0;
    for (size_t i = 0; i < size; ++i) total += static_cast<unsigned>(word(address + i, 1));
    return total & 0xFF;
  }
  /// Returns the address of the XSDT's table with this signature.
  uint64_t find(const std::string& signature) const {
    const uint64_t xsdt = word(kBase + 24, 8);
    for (uint64_t at = xsdt + 36; at < xsdt + word(xsdt + 4, 4); at += 8) {
      if (text(word(at, 8), 4) == signature) return word(at, 8);
    }
    ADD_FAILURE() << "no table " << signature;
    return kBase;
  }

  /// Builds the tables, and returns the windows for memory BARs in the DSDT.
  std::vector<AddressWindow> announced_windows(const BarWindows& windows) {
    build(1, windows);
    const uint64_t dsdt = word(find("FACP") + 140, 8);
    const uint64_t size = word(dsdt + 4, 4);
    EXPECT_EQ(sum(dsdt, size), 0u);
    std::vector<AddressWindow> announced;
    for (uint64_t at = dsdt; at + 46 <= dsdt + size; ++at) {
      const uint64_t width = word(at, 4) == 0x1787 ? 4 : word(at, 4) == 0x2B8A ? 8 : 0;
      if (width == 0) continue;
      const uint64_t begin = word(at + 6 + width, width), length = word(at + 6 + 4 * width, width);
      EXPECT_EQ(word(at + 6 + 2 * width, width), length == 0 ? 0 : begin + length - 1);
      announced.push_back({begin, begin + length});
    }
    return announced;
  }

  std::vector<std::byte> image_;
};

TEST_F(AcpiTest, EveryTableSumsToZero) {
  build(4);
  EXPECT_EQ(text(kBase, 8), "RSD PTR ");
  EXPECT_EQ(sum(kBase, 20), 0u);
  EXPECT_EQ(sum(kBase, 36), 0u);
  const uint64_t xsdt = word(kBase + 24, 8);
  EXPECT_EQ(sum(xsdt, word(xsdt + 4, 4)), 0u);
  for (const char* signature : {"FACP", "APIC", "MCFG"}) {
    const uint64_t table = find(signature);
    EXPECT_EQ(sum(table, word(table + 4, 4)), 0u) << signature;
  }
  const uint64_t dsdt = word(find("FACP") + 140, 8);
  EXPECT_EQ(text(dsdt, 4), "DSDT");
  EXPECT_EQ(sum(dsdt, word(dsdt + 4, 4)), 0u);
}

TEST_F(AcpiTest, TheFacsIsWhereTheFadtSaysAndAligned) {
  build(1);
  const uint64_t facs = word(find("FACP") + 36, 4);
  EXPECT_EQ(text(facs, 4), "FACS");
  EXPECT_EQ(facs % 64, 0u);
}

TEST_F(AcpiTest, TheMadtHasEveryCpuOnceAndOneIoapic) {
  for (const unsigned cpus : {1u, 2u, 254u}) {
    build(cpus);
    const uint64_t madt = find("APIC");
    std::vector<uint64_t> apic_ids;
    unsigned ioapics = 0;
    const uint64_t end = madt + word(madt + 4, 4);
    for (uint64_t at = madt + 44; at < end; at += word(at + 1, 1)) {
      ASSERT_NE(word(at + 1, 1), 0u);
      if (word(at, 1) == 0) apic_ids.push_back(word(at + 3, 1));
      if (word(at, 1) == 1) ++ioapics;
    }
    ASSERT_EQ(apic_ids.size(), cpus);
    for (unsigned cpu = 0; cpu < cpus; ++cpu) EXPECT_EQ(apic_ids[cpu], cpu);
    EXPECT_EQ(ioapics, 1u);
  }
}

TEST_F(AcpiTest, FitsWhereTheBiosWouldBe) {
  build(254);
  EXPECT_LE(kAcpiTables + image_.size(), kKernel);
}

TEST_F(AcpiTest, TheMcfgNamesTheOneBusThatEcamHas) {
  build(1);
  const uint64_t mcfg = find("MCFG");
  EXPECT_EQ(word(mcfg + 44, 8), kEcam);
  EXPECT_EQ(word(mcfg + 54, 1), 0u);
  EXPECT_EQ(word(mcfg + 55, 1), 0u);
}

// ACPI 6.3, 6.4.3.5: a DWORD and a QWORD address space descriptor of memory, with their five
// fields.
TEST_F(AcpiTest, Case3TheHostBridgeAnnouncesTheWindows) {
  constexpr BarWindows kGrown{.low = {kGiB, kEcam}, .high = {512 * kGiB, 4096 * kGiB}};
  for (const BarWindows& windows : {BarWindows{}, kGrown, BarWindows{.high = {}}}) {
    const std::vector<AddressWindow> announced = announced_windows(windows);
    ASSERT_EQ(announced.size(), 2u);
    EXPECT_EQ(announced[0], windows.low);
    EXPECT_EQ(announced[1], windows.high);
  }
}

TEST_F(AcpiTest, NoWindowMeetsRamOrAReservedEntryOfTheMemoryMap) {
  const auto around = [](uint64_t bytes, const IovaRange& range) {
    return RamLayout::around(bytes, {{.range = range}}).value();
  };
  const RamLayout layouts[] = {
      RamLayout::of(512 * kMiB),
      RamLayout::of(400 * kGiB),
      around(kGiB, {512 * kMiB, 513 * kMiB}),
      around(2 * kGiB, {kGiB, kGiB}),
      around(3 * kGiB, {2 * kGiB, 4 * kGiB - 1}),
      around(3 * kGiB, {kGiB, 3 * kGiB - 1}),
      around(4 * kGiB, {4 * kGiB - 1, 4 * kGiB}),
      around(300 * kGiB, {255 * kGiB, 260 * kGiB}),
      around(1013 * kGiB, {0xfd'0000'0000, 0xff'ffff'ffff}),
  };
  // BARs for which the windows stay, and BARs for which they grow as far as they can.
  const std::vector<GuestBar> small = {{.index = 0, .size = kMiB, .is_64bit = true}};
  std::vector<GuestBar> large;
  for (unsigned i = 0; i < 3; ++i) {
    large.push_back({.index = i, .size = 512 * kGiB, .is_64bit = true});
  }
  const std::vector<GuestBar> large32 = {{.index = 0, .size = kGiB}, {.index = 1, .size = kMiB}};
  for (const RamLayout& ram : layouts) {
    const auto map = memory_map(ram);
    for (const auto& bars : {small, large, large32}) {
      const auto windows = choose_windows(bars, {.ram = ram, .physical_bits = 46});
      if (!windows) {  // little room in 32 bits
        EXPECT_EQ(windows.error().code, ENOSPC);
        EXPECT_EQ(bars, large32);
        continue;
      }
      for (const AddressWindow& window : announced_windows(*windows)) {
        EXPECT_NE(window.size(), 0u);
        for (const MemoryRange& range : map) {
          EXPECT_TRUE(range.address + range.size <= window.begin || window.end <= range.address)
              << std::hex << range.address << " in " << window.begin << " to " << window.end;
        }
      }
    }
  }
}

// Linux uses ECAM only if ACPI or the memory map reserves it.
TEST_F(AcpiTest, EcamIsReservedInTheDsdtAndInTheMemoryMap) {
  build(1);
  const uint64_t dsdt = word(find("FACP") + 140, 8);
  unsigned found = 0;
  // ACPI 6.3, 6.4.3.4: a Memory32Fixed descriptor, with base and length.
  for (uint64_t at = dsdt; at + 12 <= dsdt + word(dsdt + 4, 4); ++at) {
    if (word(at, 4) != 0x01000986) continue;
    EXPECT_EQ(word(at + 4, 4), kEcam);
    EXPECT_EQ(word(at + 8, 4), kEcamSize);
    ++found;
  }
  EXPECT_EQ(found, 1u);
  for (const uint64_t size : {512 * kMiB, 300 * kGiB}) {
    const auto map = memory_map(RamLayout::of(size));
    EXPECT_TRUE(std::any_of(map.begin(), map.end(), [](const MemoryRange& range) {
      return range.kind == MemoryRange::Kind::Reserved && range.address == kEcam &&
             range.size == kEcamSize;
    }));
    for (size_t i = 1; i < map.size(); ++i) {
      EXPECT_LE(map[i - 1].address + map[i - 1].size, map[i].address) << "ascending";
    }
  }
}

class CpuidTest : public testing::Test {
 protected:
  static constexpr uint32_t kAuth = 0x68747541, kGenu = 0x756E6547;

  static std::vector<CpuidEntry> host(uint32_t vendor) {
    return {{.leaf = 0, .eax = 0xD, .ebx = vendor},
            {.leaf = 1, .ebx = 0x07'08'08'00, .ecx = 1, .edx = 1},
            {.leaf = 4, .subleaf = 0, .flags = 1, .eax = 0x1C004121},
            {.leaf = 4, .subleaf = 3, .flags = 1, .eax = 0x1C03C163},
            {.leaf = 0xB, .subleaf = 0, .flags = 1, .eax = 1, .ebx = 2, .ecx = 0x100, .edx = 7},
            {.leaf = 0x1F, .subleaf = 0, .flags = 1, .eax = 1, .ebx = 2, .ecx = 0x100, .edx = 7},
            {.leaf = 0x80000001},
            {.leaf = 0x80000008, .eax = 0x3028, .ecx = 0x700F},
            {.leaf = 0x8000001E, .eax = 7, .ebx = 0x107, .ecx = 3}};
  }
  static std::optional<CpuidEntry> find(const std::vector<CpuidEntry>& entries, uint32_t leaf,
                                        uint32_t subleaf = 0) {
    for (const auto& entry : entries) {
      if (entry.leaf == leaf && entry.subleaf == subleaf) return entry;
    }
    return std::nullopt;
  }
};

TEST_F(CpuidTest, EveryLeafThatNamesTheApicIdNamesThisCpus) {
  const auto entries = cpuid_of(host(kAuth), 2, 3);
  EXPECT_EQ(find(entries, 1)->ebx >> 24, 2u);
  EXPECT_EQ(find(entries, 0xB, 0)->edx, 2u);
  EXPECT_EQ(find(entries, 0xB, 1)->edx, 2u);
  EXPECT_EQ(find(entries, 0x8000001E)->eax, 2u);
}

TEST_F(CpuidTest, TheTopologyIsOneSocketOfSingleThreadedCores) {
  const auto entries = cpuid_of(host(kAuth), 0, 3);
  EXPECT_EQ(find(entries, 1)->ebx >> 16 & 0xFF, 4u)
      << "the number of ids is rounded up to a power of two";
  EXPECT_TRUE(find(entries, 1)->edx & 1u << 28);
  EXPECT_EQ(find(entries, 0xB, 0)->eax, 0u);
  EXPECT_EQ(find(entries, 0xB, 0)->ebx, 1u);
  EXPECT_EQ(find(entries, 0xB, 1)->eax, 2u) << "the socket has two bits of APIC id";
  EXPECT_EQ(find(entries, 0xB, 1)->ebx, 3u);
  EXPECT_FALSE(find(entries, 0x1F)) << "the host's leaf is removed";
  EXPECT_EQ(find(entries, 0x80000008)->ecx, 2u | 2u << 12);
  EXPECT_EQ(find(entries, 0x8000001E)->ebx, 0u);
}

TEST_F(CpuidTest, OneCpuClaimsNoOthers) {
  const auto entries = cpuid_of(host(kGenu), 0, 1);
  EXPECT_EQ(find(entries, 1)->ebx >> 16 & 0xFF, 0u);
  EXPECT_FALSE(find(entries, 1)->edx & 1u << 28);
  EXPECT_EQ(find(entries, 0xB, 1)->eax, 0u);
}

TEST_F(CpuidTest, CachesAreSharedFromTheThirdLevelOn) {
  const auto entries = cpuid_of(host(kGenu), 0, 8);
  EXPECT_EQ(find(entries, 4, 0)->eax >> 14 & 0xFFF, 0u);
  EXPECT_EQ(find(entries, 4, 3)->eax >> 14 & 0xFFF, 7u);
  EXPECT_EQ(find(entries, 4, 3)->eax >> 26, 7u);
  EXPECT_EQ(find(entries, 4, 3)->eax & 0x3FFF, 0x163u) << "the cache's type stays";
}

TEST_F(CpuidTest, AnIntelCpuKeepsAmdsLeavesAsTheyAre) {
  const auto entries = cpuid_of(host(kGenu), 1, 2);
  EXPECT_EQ(find(entries, 0x80000008)->ecx, 0x700Fu);
  EXPECT_EQ(find(entries, 0x80000001)->ecx, 0u);
}

TEST(PhysicalBits, Case3AreThoseThatKvmMapsForAGuest) {
  const auto bits = [](uint32_t eax) {
    return physical_bits({{.leaf = 0x80000000, .eax = 7}, {.leaf = 0x80000008, .eax = eax}});
  };
  EXPECT_EQ(bits(0x3028), 40u);
  EXPECT_EQ(bits(0x3034), 48u) << "four levels of nested paging map at most these";
  EXPECT_EQ(bits(0x30'39'34), 48u) << "KVM names the guest's bits";
  EXPECT_EQ(bits(0x34'39'34), 52u);
  EXPECT_EQ(physical_bits({}), 36u);
}

TEST(KvmTable, HasTheKernelsLayoutAndRequestNumbers) {
  const std::vector<uint64_t> entries = {1, 2, 3};
  KvmTable<uint64_t> table{std::span(entries)};
  const auto* words = static_cast<const uint32_t*>(table.argument());
  EXPECT_EQ(words[0], 3u);
  EXPECT_EQ(words[1], 0u);
  EXPECT_EQ(words[2], 1u) << "entries directly follow the two words";
  EXPECT_EQ(table.entries(), entries);
  // KVM_GET_SUPPORTED_CPUID, whatever the size of the header's struct.
  EXPECT_EQ(kvm_table_request(_IOC(_IOC_READ | _IOC_WRITE, 0xAE, 0x05, 12)), 0xC008AE05u);
}

TEST(KvmTable, NeverReadsMoreEntriesThanItHasRoomFor) {
  KvmTable<uint64_t> table(size_t{2});
  *static_cast<uint32_t*>(table.argument()) = 1000;
  EXPECT_EQ(table.entries().size(), 2u);
}

}  // namespace
}  // namespace passthru
