// SPDX-License-Identifier: MIT
// Tests that a device reaches by DMA exactly the memory that its domain has at that moment, on real
// VFIO, with QEMU's edu. The edu copies between memory and its own buffer (docs/specs/edu of QEMU).
// For the top of the IOMMU's address space it needs dma_mask=0x7fffffffff or more.
#include <gtest/gtest.h>
#include <linux/pci_regs.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstring>
#include <fstream>
#include <string>
#include <vector>

#include "tests/fakes/eventually.h"
#include "tests/hil/assigned_edu.h"
#include "vfio/group.h"

namespace passthru {
namespace {

constexpr uint64_t kPage = 4096;
constexpr uint64_t k2M = uint64_t{2} << 20;
constexpr uint64_t k1G = uint64_t{1} << 30;

/// Zeroed memory of this process, aligned to 2 MiB.
class HostMemory {
 public:
  explicit HostMemory(uint64_t size) : size_(size), reserved_(size + k2M) {
    memory_ =
        ::mmap(nullptr, reserved_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    EXPECT_NE(memory_, MAP_FAILED);
    ::madvise(memory_, reserved_, MADV_HUGEPAGE);
  }
  ~HostMemory() { ::munmap(memory_, reserved_); }
  HostMemory(const HostMemory&) = delete;
  HostMemory& operator=(const HostMemory&) = delete;

  [[nodiscard]] std::span<std::byte> bytes() const {
    const auto value = reinterpret_cast<uintptr_t>(memory_);
    return {static_cast<std::byte*>(memory_) + (k2M - value % k2M) % k2M, size_};
  }
  [[nodiscard]] std::span<std::byte> first_page() const { return bytes().first(kPage); }
  [[nodiscard]] std::span<std::byte> last_page() const { return bytes().last(kPage); }

 private:
  const uint64_t size_;
  const uint64_t reserved_;
  void* memory_;
};

/// Fills a page; different seeds give different pages.
void fill(std::span<std::byte> page, unsigned seed) {
  unsigned value = seed * 2654435761U + 1;
  for (std::byte& byte : page) {
    value = value * 1664525U + 1013904223U;
    byte = static_cast<std::byte>(value >> 24);
  }
}

/// The device copies only the end of a page: older edus end the emulator if a copy fills their
/// buffer exactly.
constexpr uint64_t kCopied = kPage / 2;

std::vector<std::byte> copied_part(std::span<const std::byte> page) {
  const auto part = page.last(kCopied);
  return {part.begin(), part.end()};
}

class DmaOfEdu : public AssignedEdu {
 protected:
  // Every edu reaches 28 bits of address.
  static constexpr uint64_t kFirst = 0x1000'0000;
  static constexpr uint64_t kSecond = 0x0800'0000;

  /// Assigns the device, without memory.
  void attach() {
    open();
    if (IsSkipped() || HasFatalFailure()) return;
    for (const GuestMapping& mapping : host.mappings()) {
      if (mapping.address == kGuest) registers_ = mapping.memory;
    }
    ASSERT_NE(registers_, nullptr) << "its registers are not mapped";
  }

  /// Makes the device copy from the page at `address` into its buffer.
  void copy_in(uint64_t address) { copy(address + kPage - kCopied, kBuffer, 0); }
  /// Makes the device copy from its buffer to the page at `address`.
  void copy_out(uint64_t address) { copy(kBuffer, address + kPage - kCopied, kToMemory); }

  /// Makes the device copy from one page to another; `from` and `to` are DMA addresses. Returns
  /// whether the data arrived.
  bool moves(uint64_t from, std::span<std::byte> source, uint64_t to,
             std::span<std::byte> destination) {
    fill(source, ++seed_);
    fill(destination, ++seed_);
    copy_in(from);
    copy_out(to);
    return copied_part(source) == copied_part(destination);
  }

 private:
  static constexpr uint64_t kSource = 0x80, kDestination = 0x88, kCount = 0x90, kCommand = 0x98;
  static constexpr uint64_t kBuffer = 0x40000;
  static constexpr uint64_t kRun = 1, kToMemory = 2;

  // A register has 64 bits. This uses loads and stores, as a guest does, because pread(2) and
  // pwrite(2) of 8 bytes are two accesses on older kernels.
  volatile uint64_t& at(uint64_t offset) const {
    return *reinterpret_cast<volatile uint64_t*>(registers_ + offset);
  }
  void copy(uint64_t source, uint64_t destination, uint64_t direction) {
    at(kSource) = source;
    at(kDestination) = destination;
    at(kCount) = kCopied;
    at(kCommand) = kRun | direction;
    // The device waits 100 ms before it begins.
    ASSERT_TRUE(eventually([this] { return (at(kCommand) & kRun) == 0; }));
  }

  std::byte* registers_ = nullptr;
  unsigned seed_ = 0;
};

class DmaOfEduBySize : public DmaOfEdu, public ::testing::WithParamInterface<uint64_t> {};

TEST_P(DmaOfEduBySize, MemoryThatIsAddedWhileTheDeviceIsAttachedCanBeReached) {
  attach();
  if (IsSkipped() || HasFatalFailure()) return;
  const HostMemory first(GetParam()), second(GetParam());
  ASSERT_TRUE(domain.add_memory(kFirst, first.bytes()));
  ASSERT_TRUE(domain.add_memory(kSecond, second.bytes()));
  const uint64_t last = GetParam() - kPage;
  EXPECT_TRUE(moves(kFirst + last, first.last_page(), kSecond, second.first_page()));
  EXPECT_TRUE(moves(kSecond + last, second.last_page(), kFirst, first.first_page()));
}

TEST_P(DmaOfEduBySize, MemoryThatIsRemovedIsReachedNoMoreUntilItIsAddedAgain) {
  attach();
  if (IsSkipped() || HasFatalFailure()) return;
  const HostMemory stays(kPage), goes(GetParam());
  ASSERT_TRUE(domain.add_memory(kFirst, stays.bytes()));
  for (int round = 0; round < 2; ++round) {
    ASSERT_TRUE(domain.add_memory(kSecond, goes.bytes()));
    EXPECT_TRUE(moves(kFirst, stays.first_page(), kSecond, goes.first_page())) << round;

    ASSERT_TRUE(domain.remove_memory(kSecond));
    EXPECT_EQ(domain.remove_memory(kSecond).error().code, ENOENT);
    const auto kept = copied_part(goes.first_page());
    EXPECT_FALSE(moves(kFirst, stays.first_page(), kSecond, HostMemory(kPage).first_page()));
    EXPECT_EQ(copied_part(goes.first_page()), kept) << "the device wrote to removed memory";
    fill(goes.first_page(), 1000U + static_cast<unsigned>(round));
    copy_in(kSecond);
    copy_out(kFirst);
    EXPECT_NE(copied_part(stays.first_page()), copied_part(goes.first_page()))
        << "the device read removed memory";
  }
}

INSTANTIATE_TEST_SUITE_P(Linux, DmaOfEduBySize, testing::Values(kPage, k2M),
                         [](const auto& each) { return each.param == kPage ? "Page" : "TwoMiB"; });

TEST_F(DmaOfEdu, AGibibyteIsReachedFromEndToEndAndGoesAsAWhole) {
  attach();
  if (IsSkipped() || HasFatalFailure()) return;
  const HostMemory all(k1G), page(kPage);
  ASSERT_TRUE(domain.add_memory(kSecond, page.bytes()));
  const auto added = domain.add_memory(k1G, all.bytes());
  ASSERT_TRUE(added) << added.error().message();
  EXPECT_TRUE(moves(kSecond, page.first_page(), k1G, all.first_page()));
  EXPECT_TRUE(moves(2 * k1G - kPage, all.last_page(), kSecond, page.first_page()))
      << "or the device cannot: --device edu,dma_mask=0x7fffffffff";
  ASSERT_TRUE(domain.remove_memory(k1G));
  EXPECT_FALSE(moves(kSecond, page.first_page(), 2 * k1G - kPage, all.last_page()));
}

TEST_F(DmaOfEdu, ReadOnlyMemoryIsReadAndNotWritten) {
  attach();
  if (IsSkipped() || HasFatalFailure()) return;
  const HostMemory rom(kPage), ram(kPage);
  // For a read-only map of unwritten memory, older kernels pin the shared zero page. A later write
  // would go to another page, so write first.
  fill(rom.first_page(), 0);
  ASSERT_TRUE(domain.add_memory(kFirst, rom.bytes(), /*writable=*/false));
  ASSERT_TRUE(domain.add_memory(kSecond, ram.bytes()));
  EXPECT_TRUE(moves(kFirst, rom.first_page(), kSecond, ram.first_page()));
  EXPECT_FALSE(moves(kSecond, ram.first_page(), kFirst, rom.first_page()));
}

TEST_F(DmaOfEdu, MemoryThatIsRefusedLeavesTheMapAsItWas) {
  attach();
  if (IsSkipped() || HasFatalFailure()) return;
  const HostMemory first(k2M), second(kPage), other(k2M + kPage);
  ASSERT_TRUE(domain.add_memory(kFirst, first.bytes()));
  ASSERT_TRUE(domain.add_memory(kSecond, second.bytes()));
  const std::span<std::byte> page = other.first_page();
  const struct {
    const char* what;
    uint64_t address;
    std::span<std::byte> bytes;
  } cases[] = {
      {"the same memory again", kFirst, first.bytes()},
      {"within", kFirst + k2M / 2, page},
      {"reaches into the first page", kFirst - k2M, other.bytes()},
      {"begins in the last page", kFirst + k2M - kPage, other.bytes()},
      {"an unaligned address", kFirst + k2M + 0x800, page},
      {"unaligned memory", kFirst + k2M, other.bytes().subspan(0x800, kPage)},
      {"half a page", kFirst + k2M, page.first(0x800)},
      {"nothing", kFirst + k2M, page.first(0)},
      {"past the last address", ~uint64_t{0} - kPage + 1, other.bytes()},
      {"the IOMMU's range for interrupts", 0xfee00000, page},
      {"a range that contains it", 0xfee00000 - k2M, other.bytes()},
  };
  for (const auto& [what, address, bytes] : cases) {
    EXPECT_FALSE(domain.add_memory(address, bytes)) << what;
    if (address != kFirst) {
      EXPECT_EQ(domain.remove_memory(address).error().code, ENOENT) << what;
    }
  }
  EXPECT_TRUE(moves(kFirst + k2M - kPage, first.last_page(), kSecond, second.first_page()));
  EXPECT_TRUE(moves(kSecond, second.first_page(), kFirst, first.first_page()));
}

TEST_F(DmaOfEdu, AGroupThatItsGiverHasOpenStillIsTakenOutOfItsContainer) {
  attach();
  if (IsSkipped() || HasFatalFailure()) return;
  const Bdf bdf = functions_with(0x1234, 0x11e8).front();
  device.reset();
  const auto group = assignable_group(Sysfs(), bdf);
  ASSERT_TRUE(group) << group.error().message();
  auto given = kernel->open_group(*group);
  ASSERT_TRUE(given) << given.error().message();
  for (int round = 0; round < 2; ++round) {
    DmaSpace dma(*kernel);
    const auto attached = dma.attach_group(*group, true, Fd(::dup(given->get())));
    ASSERT_TRUE(attached) << attached.error().message();
    dma.detach_group(*group);
    EXPECT_FALSE(kernel->group_status(given->get())->container_set);
  }
}

/// Returns the width in bits of the bus addresses that an Intel IOMMU translates (VT-d 10.4.2,
/// MGAW); 0 if it is another IOMMU.
unsigned address_width() {
  std::ifstream file("/sys/class/iommu/dmar0/intel-iommu/cap");
  uint64_t capability = 0;
  if (!(file >> std::hex >> capability)) return 0;
  return static_cast<unsigned>(capability >> 16 & 0x3f) + 1;
}

TEST_F(DmaOfEdu, ReachesTheLastPageThatTheIommuTranslatesAndNoneIsAddedPastIt) {
  attach();
  if (IsSkipped() || HasFatalFailure()) return;
  const unsigned width = address_width();
  ASSERT_NE(width, 0U) << "the address width of this machine's IOMMU is unknown";
  const uint64_t end = uint64_t{1} << width;
  const HostMemory low(kPage), top(kPage), beyond(2 * kPage);
  ASSERT_TRUE(domain.add_memory(kFirst, low.bytes()));
  EXPECT_FALSE(domain.add_memory(end, beyond.first_page())) << "the first page past the end";
  EXPECT_FALSE(domain.add_memory(end - kPage, beyond.bytes())) << "half past the end";
  EXPECT_FALSE(domain.add_memory(~uint64_t{0} - kPage + 1, beyond.first_page()));
  const auto added = domain.add_memory(end - kPage, top.bytes());
  ASSERT_TRUE(added) << added.error().message();
  EXPECT_TRUE(moves(kFirst, low.first_page(), end - kPage, top.first_page()))
      << "or the device cannot: --device edu,dma_mask=0x7fffffffff";
  EXPECT_TRUE(moves(end - kPage, top.first_page(), kFirst, low.first_page()));
  EXPECT_TRUE(domain.remove_memory(end - kPage));
}

}  // namespace
}  // namespace passthru
