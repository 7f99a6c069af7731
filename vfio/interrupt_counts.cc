// SPDX-License-Identifier: MIT
// Owns which of the host's interrupts is which vector, and the sum over its CPUs.
#include "vfio/interrupt_counts.h"

#include <fcntl.h>
#include <unistd.h>

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

// In a domain of the device's own (since Linux 6.2) that is the vector; in the machine's, requester
// id and segment are above it (drivers/pci/msi/irqdomain.c).
constexpr uint64_t kVectorBits = 0x7ff;

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
    std::string_view text = read_attribute(of_kernel.get(), irq + "/hwirq", page);
    const auto number = take_number(text);
    if (!number || (*number & kVectorBits) >= vectors) continue;
    uint64_t& count = read.counts[*number & kVectorBits];
    text = read_attribute(of_kernel.get(), irq + "/per_cpu_count", page);
    while (const auto of_cpu = take_number(text)) count += *of_cpu;
  }
  return read;
}

}  // namespace passthru
