// SPDX-License-Identifier: MIT
// The snapshot through sysfs: the device's BAR, mapped read-only from its `resourceN` file while
// another process or a driver may use the device.
#include <fcntl.h>
#include <fmt/format.h>
#include <linux/pci_regs.h>
#include <sys/mman.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <sstream>
#include <utility>

#include "base/fd.h"
#include "base/small_file.h"
#include "inspect/msix_snapshot.h"
#include "pci/capability_list.h"

namespace passthru {
namespace {

constexpr uint64_t kResourceMemory = 0x200;  // IORESOURCE_MEM

// A part of a memory BAR. Mapped while this object exists.
class MappedBar {
 public:
  static Result<MappedBar> map(const Sysfs& sysfs, Bdf bdf, unsigned bar, uint64_t offset,
                               uint64_t size);
  MappedBar(MappedBar&& other) noexcept
      : base_(std::exchange(other.base_, MAP_FAILED)), size_(other.size_), first_(other.first_) {}
  ~MappedBar() {
    if (base_ != MAP_FAILED) ::munmap(base_, size_);
  }

  // Returns the `index`th 4 bytes from the requested offset. Every table answers this width.
  [[nodiscard]] uint32_t load(size_t index) const {
    const auto* bytes = static_cast<const volatile std::byte*>(base_) + first_;
    return reinterpret_cast<const volatile uint32_t*>(bytes)[index];
  }

 private:
  MappedBar(void* base, size_t size, size_t first) : base_(base), size_(size), first_(first) {}

  void* base_;
  size_t size_;
  size_t first_;  // the requested offset, from `base_`
};

struct Resource {
  uint64_t start = 0;
  uint64_t size = 0;  // 0: not a memory BAR
};

// Line `bar` of `resource`: "0x0000000080000000 0x0000000080003fff 0x0000000000140204".
Resource find_resource(const Sysfs& sysfs, Bdf bdf, unsigned bar) {
  auto text = read_file(sysfs.function_path(bdf) / "resource");
  std::istringstream lines(text ? *text : std::string());
  std::string line;
  for (unsigned i = 0; i <= bar; ++i) std::getline(lines, line);
  std::istringstream fields(line);
  uint64_t start = 0;
  uint64_t last = 0;
  uint64_t flags = 0;
  fields >> std::hex >> start >> last >> flags;
  if (!fields || (flags & kResourceMemory) == 0 || last < start || last - start == UINT64_MAX)
    return {};
  return {.start = start, .size = last - start + 1};
}

Error explain_map(int code, const std::string& file) {
  Error error{.code = code, .operation = "map " + file};
  if (code == EINVAL) {
    error.code = EBUSY;
    error.cause = "the kernel denies access to a BAR that a driver uses (CONFIG_IO_STRICT_DEVMEM)";
    error.advice =
        "Boot with iomem=relaxed, or try again while the device is bound to vfio-pci and free";
  } else if (code == EACCES || code == EPERM) {
    error.advice = ::geteuid() == 0
                       ? "The kernel is locked down: try again while the device is bound to "
                         "vfio-pci and free"
                       : "Run the command with sudo";
  }
  return error;
}

Result<MappedBar> MappedBar::map(const Sysfs& sysfs, Bdf bdf, unsigned bar, uint64_t offset,
                                 uint64_t size) {
  const Resource resource = find_resource(sysfs, bdf, bar);
  if (offset > resource.size || size > resource.size - offset) {
    return fail(
        ERANGE, fmt::format("map BAR {}", bar),
        fmt::format("the MSI-X capability names {:#x} bytes at {:#x}, but the BAR has {:#x}", size,
                    offset, resource.size));
  }
  const std::string file = sysfs.function_path(bdf) / fmt::format("resource{}", bar);
  const Fd fd(::open(file.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd) return tl::unexpected(explain_map(errno, file));
  // Offset 0 of the file is the page that the BAR starts in, even if the BAR does not start at the
  // page's start.
  const auto page = static_cast<uint64_t>(::sysconf(_SC_PAGESIZE));
  const uint64_t from_page = resource.start % page + offset;
  const uint64_t file_offset = from_page / page * page;
  const size_t length = from_page - file_offset + size;
  void* base =
      ::mmap(nullptr, length, PROT_READ, MAP_SHARED, fd.get(), static_cast<off_t>(file_offset));
  if (base == MAP_FAILED) return tl::unexpected(explain_map(errno, file));
  return MappedBar(base, length, from_page - file_offset);
}

// A bit of the physical function enables the memory decode of its virtual functions. Their own bit
// is hardwired to 0 (Single Root I/O Virtualization 1.1, 3.3.3.4 and 3.4.1.3).
bool decodes_memory(const Sysfs& sysfs, const PciFunction& function) {
  if (!function.physical_function) {
    return (config_u16(function.config, PCI_COMMAND) & PCI_COMMAND_MEMORY) != 0;
  }
  const auto physical = sysfs.function(*function.physical_function, ConfigPart::Extended);
  if (!physical) return false;
  for (const auto& capability : listed_extended_capabilities(physical->config)) {
    if (capability.id != PCI_EXT_CAP_ID_SRIOV) continue;
    const size_t control = size_t{capability.offset} + PCI_SRIOV_CTRL;
    return (config_u16(physical->config, control) & PCI_SRIOV_CTRL_MSE) != 0;
  }
  return false;
}

Result<void> require_memory_decode(const Sysfs& sysfs, const PciFunction& function) {
  // A sleeping device answers nothing. Reading `config` woke it only for that time.
  const auto power = read_file(sysfs.function_path(function.bdf) / "power_state");
  const bool asleep = power && power->starts_with("D3");
  if (!asleep && decodes_memory(sysfs, function)) return {};
  const std::string bdf = function.bdf.str();
  return tl::unexpected(Error{
      .code = ENXIO,
      .operation = "read the MSI-X table",
      .device = bdf,
      .cause = asleep ? "the device is asleep" : "the device's memory decode is off",
      .advice =
          function.on_vfio
              ? "Another process uses the device and has not enabled it: end that process, or wait"
              : fmt::format("Wake the device by using it, or bind it: 'passthru bind {}'", bdf)});
}

}  // namespace

Result<MsixSnapshot> snapshot_from_sysfs(const Sysfs& sysfs, Bdf bdf) {
  const PciFunction function = PASSTHRU_TRY(sysfs.function(bdf));
  const MsixLayout layout = PASSTHRU_TRY(msix_layout_of(function));
  PASSTHRU_TRY(require_memory_decode(sysfs, function));
  const MappedBar table = PASSTHRU_TRY(
      MappedBar::map(sysfs, bdf, layout.table_bar, layout.table_offset, layout.table_size())
          .on(bdf.str()));
  const MappedBar pba =
      PASSTHRU_TRY(MappedBar::map(sysfs, bdf, layout.pba_bar, layout.pba_offset, layout.pba_size())
                       .on(bdf.str()));

  MsixSnapshot snapshot{.source = MsixSnapshot::Source::Sysfs,
                        .layout = layout,
                        .control = config_u16(function.config, layout.capability + 2U),
                        .vectors = std::vector<MsixSnapshot::Vector>(layout.vectors)};
  for (unsigned vector = 0; vector < layout.vectors; ++vector) {
    const size_t word = size_t{vector} * 4;
    snapshot.vectors[vector] = {.entry = {table.load(word), table.load(word + 1),
                                          table.load(word + 2), table.load(word + 3)},
                                .pending = (pba.load(vector / 32) >> vector % 32 & 1) != 0};
  }
  return snapshot;
}

}  // namespace passthru
