// SPDX-License-Identifier: MIT
// A program that damages a device: it zeroes entries of its physical MSI-X table through sysfs,
// without the knowledge of VFIO and the VMM. For the lab only.
// usage: passthru_damage BDF FIRST COUNT [SECONDS]
// With SECONDS it repeats this for that time at random intervals, each time with all of the entries
// or with one of them, and prints the number of repetitions.
#include <fcntl.h>
#include <sys/mman.h>

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <random>
#include <string>
#include <thread>

#include "base/fd.h"
#include "pci/msix_layout.h"
#include "pci/sysfs.h"

namespace {

constexpr unsigned kMaxPause = 200;  // milliseconds

class Table {
 public:
  Table(volatile uint32_t* words, unsigned long vectors) : words_(words), vectors_(vectors) {}

  void zero(unsigned long first, unsigned long count) {
    for (unsigned long vector = first; vector < first + count && vector < vectors_; ++vector) {
      for (unsigned long word = 0; word < 4; ++word) words_[vector * 4 + word] = 0;
    }
  }

 private:
  volatile uint32_t* const words_;
  const unsigned long vectors_;
};

unsigned long storm(Table& table, unsigned long first, unsigned long count,
                    std::chrono::seconds time) {
  std::minstd_rand random(std::random_device{}());
  const auto end = std::chrono::steady_clock::now() + time;
  unsigned long zeroings = 0;
  for (; std::chrono::steady_clock::now() < end; ++zeroings) {
    std::this_thread::sleep_for(std::chrono::milliseconds(random() % kMaxPause + 1));
    if (random() % 2 == 0) {
      table.zero(first, count);
    } else {
      table.zero(first + random() % count, 1);
    }
  }
  return zeroings;
}

}  // namespace

int main(int argc, char** argv) {
  using namespace passthru;
  const bool usable = argc == 4 || argc == 5;
  const auto bdf = Bdf::parse(usable ? argv[1] : "");
  const auto function = bdf ? Sysfs().function(*bdf) : tl::unexpected(bdf.error());
  const auto layout = function ? find_msix(function->config) : std::nullopt;
  const unsigned long first = usable ? std::strtoul(argv[2], nullptr, 0) : 0;
  const unsigned long count = usable ? std::strtoul(argv[3], nullptr, 0) : 0;
  if (!layout || count == 0) {
    std::fputs("usage: passthru_damage BDF FIRST COUNT [SECONDS], of a device with MSI-X\n",
               stderr);
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
  Table table(reinterpret_cast<volatile uint32_t*>(static_cast<char*>(bar) + layout->table_offset),
              layout->vectors);
  if (argc == 4) {
    table.zero(first, count);
    return 0;
  }
  const std::chrono::seconds time(std::strtoul(argv[4], nullptr, 0));
  std::printf("zeroings %lu\n", storm(table, first, count, time));
  return 0;
}
