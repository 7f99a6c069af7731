// SPDX-License-Identifier: MIT
// Owns which of the host's interrupts is which vector, and the sum over its CPUs.
#include "vfio/interrupt_counts.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>

#include "vfio/fd.h"

namespace passthru {
namespace {

// The kernel gives no more of an attribute than a page.
using Page = std::array<char, 4096>;

std::string_view read_attribute(int directory, const std::string& name, Page& page) {
  const Fd file(::openat(directory, name.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file) return {};
  const ssize_t got = ::read(file.get(), page.data(), page.size());
  return {page.data(), static_cast<size_t>(got > 0 ? got : 0)};
}

// Takes the number that `text` begins with, and what is behind it up to the next.
std::optional<uint64_t> take_number(std::string_view& text) {
  uint64_t number = 0;
  const auto [stop, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc{}) return std::nullopt;
  text.remove_prefix(static_cast<size_t>(stop - text.data()));
  if (!text.empty()) text.remove_prefix(1);  // a comma, or the end of the line
  return number;
}

// "vfio-msix[3](0000:00:02.0)" (drivers/vfio/pci/vfio_pci_intrs.c)
std::optional<uint64_t> vector_of_action(std::string_view action) {
  if (!action.starts_with("vfio-msi")) return std::nullopt;  // another driver's
  action.remove_prefix(std::min(action.find('['), action.size() - 1) + 1);
  return take_number(action);
}

// In a domain of the device's own (since Linux 6.2) it is the number; in the machine's, requester
// id and segment are above it (drivers/pci/msi/irqdomain.c).
std::optional<uint64_t> vector_of_number(std::string_view number) {
  const auto whole = take_number(number);
  if (!whole) return std::nullopt;
  return *whole & 0x7ff;
}

// By the name that VFIO has requested it with. Of an interrupt that nobody has requested any more
// the number is left.
std::optional<uint64_t> vector_of(int of_kernel, const std::string& irq, Page& page) {
  std::string_view action = read_attribute(of_kernel, irq + "/actions", page);
  if (action.ends_with('\n')) action.remove_suffix(1);
  if (!action.empty()) return vector_of_action(action);
  return vector_of_number(read_attribute(of_kernel, irq + "/hwirq", page));
}

}  // namespace

InterruptCounts InterruptCounts::read(Bdf bdf, unsigned vectors,
                                      const std::filesystem::path& sysfs) {
  InterruptCounts read{.since = std::chrono::steady_clock::now(),
                       .counts = std::vector<uint64_t>(vectors)};
  const Fd of_kernel(::open((sysfs / "kernel/irq").c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!of_kernel) return read;
  std::error_code error;
  std::filesystem::directory_iterator file(sysfs / "bus/pci/devices" / bdf.str() / "msi_irqs",
                                           error);
  Page page;
  for (; !error && file != std::filesystem::directory_iterator{}; file.increment(error)) {
    const std::string irq = file->path().filename();
    const auto vector = vector_of(of_kernel.get(), irq, page);
    if (!vector || *vector >= vectors) continue;
    uint64_t& count = read.counts[*vector];
    std::string_view text = read_attribute(of_kernel.get(), irq + "/per_cpu_count", page);
    while (const auto of_cpu = take_number(text)) count += *of_cpu;
  }
  return read;
}

}  // namespace passthru
