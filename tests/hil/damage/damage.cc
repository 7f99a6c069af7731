// SPDX-License-Identifier: MIT
// Owns damage: zeroes entries of a device's physical MSI-X table through sysfs, past VFIO and past
// whoever owns the device. usage: passthru_damage BDF FIRST COUNT. For the lab only.
#include <fcntl.h>
#include <sys/mman.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <string>

#include "vfio/fd.h"
#include "vfio/msix_layout.h"
#include "vfio/sysfs.h"

int main(int argc, char** argv) {
  using namespace passthru;
  const auto bdf = Bdf::parse(argc == 4 ? argv[1] : "");
  const auto function = bdf ? Sysfs().function(*bdf) : tl::unexpected(bdf.error());
  const auto layout = function ? find_msix(function->config) : std::nullopt;
  if (!layout) {
    std::fputs("usage: passthru_damage BDF FIRST COUNT, of a device with MSI-X\n", stderr);
    return 2;
  }
  const auto path = Sysfs().function_path(*bdf) / ("resource" + std::to_string(layout->table_bar));
  const Fd file(::open(path.c_str(), O_RDWR | O_CLOEXEC));
  const auto size = std::filesystem::file_size(path);
  void* bar = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED, file.get(), 0);
  if (bar == MAP_FAILED) {
    std::perror(path.c_str());
    return 3;
  }
  auto* table =
      reinterpret_cast<volatile uint32_t*>(static_cast<char*>(bar) + layout->table_offset);
  const unsigned long first = std::strtoul(argv[2], nullptr, 0);
  const unsigned long count = std::strtoul(argv[3], nullptr, 0);
  for (unsigned long vector = first; vector < first + count && vector < layout->vectors; ++vector) {
    for (unsigned long word = 0; word < 4; ++word) table[vector * 4 + word] = 0;
  }
  return 0;
}
