// SPDX-License-Identifier: MIT
// The base of the contract tests. They assert the behaviour of a host kernel that Passthru relies
// on. FakeKernel (tests/unit) and the running Linux (tests/hil) pass the same tests, so the fake
// cannot drift. Exactly one file of a test binary includes contract/*_contract.h and instantiates
// KernelContract.
#pragma once

#include <gtest/gtest.h>
#include <linux/pci_regs.h>
#include <linux/vfio.h>
#include <sys/mman.h>
#include <unistd.h>

#include <array>
#include <cstring>
#include <functional>
#include <memory>
#include <optional>
#include <ostream>
#include <string>
#include <vector>

#include "pci/bdf.h"
#include "tests/fakes/fake_device.h"
#include "vfio/kernel.h"

namespace passthru {

/// A kernel and one of its devices, which is bound to vfio-pci and unused.
struct ContractTarget {
  std::shared_ptr<Kernel> kernel;
  uint32_t group = 0;
  Bdf bdf;
  Backend backend = Backend::Group;  ///< how the device is opened
  std::string cdev{};                ///< the name of its own node
  bool virtual_function = false;     ///< the physical function controls memory decode
  /// A function-level reset that VFIO does not see; only for BackdoorResetContract.
  std::function<void()> backdoor_reset{};
  /// Makes the device stop answering (true) or answer again; only for GoneContract.
  std::function<void(bool)> set_gone{};
};

/// Makes a target. The name appears in the test's report.
struct ContractSource {
  std::string name;
  std::function<ContractTarget()> make;
  friend void PrintTo(const ContractSource& source, std::ostream* out) { *out << source.name; }
};

/// ASSERTs that a Result is a value, and prints the error if it is not.
#define ASSERT_DONE(expression)                                \
  do {                                                         \
    const auto assert_done = (expression);                     \
    ASSERT_TRUE(assert_done) << assert_done.error().message(); \
  } while (false)

/// EXPECTs that a Result is an error with this errno.
#define EXPECT_ERRNO(code_, expression)                                            \
  do {                                                                             \
    const auto expect_errno = (expression);                                        \
    ASSERT_FALSE(expect_errno) << #expression << " succeeded";                     \
    EXPECT_EQ(expect_errno.error().code, code_) << expect_errno.error().message(); \
  } while (false)

/// A page of memory to map for DMA.
class Pages {
 public:
  explicit Pages(size_t count) : size_(count * 4096) {
    memory_ = mmap(nullptr, size_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  }
  ~Pages() { munmap(memory_, size_); }
  Pages(const Pages&) = delete;
  Pages& operator=(const Pages&) = delete;
  [[nodiscard]] std::span<std::byte> span() const {
    return {static_cast<std::byte*>(memory_), size_};
  }

 private:
  size_t size_;
  void* memory_;
};

/// EXPECTs ranges of whole pages in ascending order, with an address of RAM among them.
inline void expect_usable(const std::vector<IovaRange>& ranges) {
  bool has_ram = false;
  uint64_t free = 0;
  for (const IovaRange& range : ranges) {
    EXPECT_GE(range.first, free);
    EXPECT_LT(range.first, range.last);
    EXPECT_EQ(range.first % 4096, 0U);
    EXPECT_EQ(range.last % 4096, 4095U);
    has_ram |= range.first <= 0x100000 && range.last >= 0x1fffff;
    free = range.last;
  }
  EXPECT_TRUE(has_ram);
}

class KernelContract : public testing::TestWithParam<ContractSource> {
 protected:
  void SetUp() override { target_ = GetParam().make(); }

  void TearDown() override {
    if (table_.address != nullptr) kernel().unmap_region(table_);
  }

  Kernel& kernel() { return *target_.kernel; }
  int container() const { return container_.get(); }
  int group() const { return group_.get(); }
  int device() const { return device_.get(); }
  int iommufd() const { return iommufd_.get(); }

  void open_group() {
    auto container = kernel().open_container();
    ASSERT_TRUE(container) << container.error().message();
    container_ = std::move(*container);
    auto group = kernel().open_group(target_.group);
    ASSERT_TRUE(group) << group.error().message();
    group_ = std::move(*group);
  }
  void attach() {
    ASSERT_DONE(kernel().set_container(group(), container()));
    ASSERT_DONE(kernel().set_iommu(container(), VFIO_TYPE1v2_IOMMU));
  }

  void open_node() {
    auto iommufd = kernel().open_iommufd();
    ASSERT_TRUE(iommufd) << iommufd.error().message();
    iommufd_ = std::move(*iommufd);
    auto opened = kernel().open_cdev(target_.cdev);
    ASSERT_TRUE(opened) << opened.error().message();
    device_ = std::move(*opened);
  }

  void open_by_group() {
    if (!group_) open_group();
    attach();
    auto opened = kernel().open_device(group(), target_.bdf.str());
    ASSERT_TRUE(opened) << opened.error().message();
    device_ = std::move(*opened);
  }

  void open_device() {
    if (target_.backend == Backend::Group) {
      open_by_group();
    } else {
      open_node();
      ASSERT_DONE(kernel().bind_iommufd(device(), iommufd()));
    }
    config_ = region(Region::Config);
    ASSERT_EQ(config_.size % 256, 0U);
    find_capabilities();
  }

  /// Opens the device. Skips the test if the device has no MSI-X table or the kernel hides it.
  void open_msix_device() {
    open_device();
    if (HasFatalFailure()) return;
    if (!msix_) GTEST_SKIP() << target_.bdf.str() << " has no MSI-X";
    vectors_ = (read16(*msix_ + PCI_MSIX_FLAGS) & PCI_MSIX_FLAGS_QSIZE) + 1U;
    const uint32_t word = read32(*msix_ + PCI_MSIX_TABLE);
    table_bar_ = static_cast<Region>(word & PCI_MSIX_TABLE_BIR);
    table_offset_ = word & PCI_MSIX_TABLE_OFFSET;
    if (!region(table_bar_).msix_mappable)
      GTEST_SKIP() << "the kernel does not show the MSI-X table";
    const uint64_t start = table_offset_ & ~uint64_t{4095};
    auto mapped = kernel().map_region(
        device(), region(table_bar_).fd_offset + start,
        (table_offset_ + uint64_t{16} * vectors_ - start + 4095) & ~uint64_t{4095}, true);
    ASSERT_TRUE(mapped) << mapped.error().message();
    table_ = *mapped;
  }

  RegionInfo region(Region index) {
    auto info = kernel().region_info(device(), index);
    EXPECT_TRUE(info) << info.error().message();
    return info ? *info : RegionInfo{};
  }
  IrqInfo irq(Irq index) {
    auto info = kernel().irq_info(device(), index);
    return info ? *info : IrqInfo{};
  }

  template <class T>
  T read_config(uint64_t offset) {
    T value{};
    EXPECT_TRUE(kernel().read_region(device(), config_.fd_offset + offset,
                                     std::as_writable_bytes(std::span(&value, 1))));
    return value;
  }
  uint16_t read16(uint64_t offset) { return read_config<uint16_t>(offset); }
  uint32_t read32(uint64_t offset) { return read_config<uint32_t>(offset); }
  template <class T>
  void write_config(uint64_t offset, T value) {
    ASSERT_DONE(kernel().write_region(device(), config_.fd_offset + offset,
                                      std::as_bytes(std::span(&value, 1))));
  }

  /// Binds `eventfds` to MSI-X vectors, the first to vector `start`.
  Result<void> bind(uint32_t start, std::vector<int> eventfds, Irq index = Irq::Msix) {
    return kernel().bind_irqs(device(), {.index = index, .start = start, .eventfds = eventfds});
  }
  Result<void> trigger(uint32_t start, uint32_t count = 1, Irq index = Irq::Msix) {
    return kernel().act_on_irqs(device(), index, IrqAction::Trigger, start, count);
  }
  std::vector<Fd> make_eventfds(size_t count) {
    std::vector<Fd> eventfds(count);
    for (Fd& eventfd : eventfds) eventfd = std::move(*kernel().make_eventfd());
    return eventfds;
  }
  uint64_t drained(const Fd& eventfd) { return *kernel().drain_eventfd(eventfd.get()); }

  /// Returns the device's own entry, read through a mapping.
  PhysicalEntry entry(unsigned vector) const {
    PhysicalEntry entry;
    const auto* from = words(vector);
    for (unsigned word = 0; word < 4; ++word)
      reinterpret_cast<uint32_t*>(&entry)[word] = from[word];
    return entry;
  }
  void zero_entry(unsigned vector) const {
    for (unsigned word = 0; word < 4; ++word) words(vector)[word] = 0;
  }
  static bool has_message(const PhysicalEntry& entry) { return entry.address_low != 0; }
  static bool masked(const PhysicalEntry& entry) { return (entry.control & 1) != 0; }
  bool msix_enabled() { return (read16(*msix_ + PCI_MSIX_FLAGS) & PCI_MSIX_FLAGS_ENABLE) != 0; }

  ContractTarget target_;
  RegionInfo config_;
  std::optional<uint8_t> msix_, express_;
  unsigned vectors_ = 0;
  Region table_bar_ = Region::Bar0;
  uint64_t table_offset_ = 0;

 private:
  volatile uint32_t* words(unsigned vector) const {
    return reinterpret_cast<volatile uint32_t*>(table_.address + table_offset_ % 4096 +
                                                size_t{16} * vector);
  }

  void find_capabilities() {
    unsigned left = 48;
    for (auto at = read_config<uint8_t>(PCI_CAPABILITY_LIST); at >= 0x40 && left-- > 0;
         at = read_config<uint8_t>(at + PCI_CAP_LIST_NEXT)) {
      const auto id = read_config<uint8_t>(at);
      if (id == PCI_CAP_ID_MSIX) msix_ = at;
      if (id == PCI_CAP_ID_EXP) express_ = at;
    }
  }

  // Destroyed in reverse order: device, group, container. The target's kernel outlives them.
 protected:
  Fd iommufd_;
  Fd container_;
  Fd group_;
  Fd device_;

 private:
  Mapped table_;
};

/// The contract of groups and containers, of a device's own node, and of iommufd.
class GroupContract : public KernelContract {
 protected:
  void SetUp() override {
    KernelContract::SetUp();
    open_group();
  }
};
class NodeContract : public KernelContract {
 protected:
  void SetUp() override {
    KernelContract::SetUp();
    open_node();
  }
};

/// The contract after a reset that VFIO did not see; for targets that support it.
class BackdoorResetContract : public KernelContract {};

/// The contract of INTx; for targets that have an interrupt pin.
class IntxContract : public KernelContract {};

}  // namespace passthru
