// SPDX-License-Identifier: MIT
// A hostile program for a guest. In random order, it writes impossible addresses to a BAR of a
// function without a driver, and switches its MSI-X Enable and memory decode off and on. It prints
// how often it did each, and whether the function then answers as before. At the end it sets
// Function Mask, which the host can see.
// usage: hostile-writes BDF ADDRESSES ENABLES DECODES SEED
#include <fcntl.h>
#include <linux/pci_regs.h>
#include <sys/mman.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <random>
#include <string>
#include <vector>

namespace {

using Clock = std::chrono::steady_clock;

constexpr uint64_t kFlags = 15, kPage = 0x1000;
constexpr size_t kEntries = 4;  // unmasked entries of the table
// RAM, the I/O APIC, the local APICs, KVM's own pages, ECAM, the ends of 32 and 64 bits, and an
// address that no CPU can reach.
constexpr std::array<uint64_t, 10> kBad = {
    0,          0x100000,   0x8000000,         0xFEC00000,         0xFEE00000,
    0xFEFFC000, 0xFEB00000, uint64_t{1} << 52, 0xFFFFFFFFFFFF0000, 0xFFFFC000};

[[noreturn]] void fail(const std::string& why) {
  std::printf("hostile-writes: %s\n", why.c_str());
  std::exit(1);
}

class Function {
 public:
  explicit Function(const std::string& bdf)
      : config_(::open(("/sys/bus/pci/devices/" + bdf + "/config").c_str(), O_RDWR)),
        memory_(::open("/dev/mem", O_RDWR | O_SYNC)) {
    if (config_ < 0 || memory_ < 0) fail("cannot open " + bdf + " or /dev/mem");
    command_ = read(PCI_COMMAND, 2) | PCI_COMMAND_MEMORY;
    write(PCI_COMMAND, command_, 2);
    home_ = read(PCI_BASE_ADDRESS_0, 8);
    for (msix_ = read(PCI_CAPABILITY_LIST, 1); read(msix_, 1) != PCI_CAP_ID_MSIX;) {
      msix_ = read(msix_ + 1, 1);
      if (msix_ == 0) fail("the function has no MSI-X");
    }
    if ((read(msix_ + PCI_MSIX_TABLE, 4) & PCI_MSIX_TABLE_BIR) != 0)
      fail("the MSI-X table is not in BAR 0");
  }

  void put_bar(uint64_t address) const { write(PCI_BASE_ADDRESS_0, address | (home_ & kFlags), 8); }
  void go_home() const { put_bar(home_); }
  void decode(bool on) const {
    write(PCI_COMMAND, on ? command_ : command_ & ~uint64_t{PCI_COMMAND_MEMORY}, 2);
  }
  void control(uint16_t flags) const { write(msix_ + PCI_MSIX_FLAGS, flags, 2); }

  // Unmasks kEntries entries, each with its own message.
  void unmask_entries() const {
    const uint64_t table = read(msix_ + PCI_MSIX_TABLE, 4) & PCI_MSIX_TABLE_OFFSET;
    volatile uint32_t* words = map(table & ~(kPage - 1));
    words += (table & (kPage - 1)) / 4;
    for (size_t i = 0; i < kEntries; ++i, words += 4) {
      words[0] = 0xFEE00000;
      words[1] = 0;
      words[2] = static_cast<uint32_t>(0x60 + i);
      words[3] = 0;
    }
  }

  // Returns the first registers of BAR 0: an NVMe drive's capabilities and version, which never
  // change.
  std::vector<uint32_t> look() const {
    const volatile uint32_t* words = map(0);
    return {words[0], words[1], words[2]};
  }

 private:
  // Maps a page of the BAR, and never unmaps it: there are few.
  volatile uint32_t* map(uint64_t offset) const {
    void* at = ::mmap(nullptr, kPage, PROT_READ | PROT_WRITE, MAP_SHARED, memory_,
                      static_cast<off_t>((home_ & ~kFlags) + offset));
    if (at == MAP_FAILED) fail("cannot map /dev/mem");
    return static_cast<volatile uint32_t*>(at);
  }
  uint64_t read(uint64_t offset, size_t size) const {
    uint64_t value = 0;
    if (::pread(config_, &value, size, static_cast<off_t>(offset)) != static_cast<ssize_t>(size)) {
      fail("cannot read config space");
    }
    return value;
  }
  void write(uint64_t offset, uint64_t value, size_t size) const {
    if (::pwrite(config_, &value, size, static_cast<off_t>(offset)) != static_cast<ssize_t>(size)) {
      fail("cannot write config space");
    }
  }

  int config_, memory_;
  uint64_t command_ = 0, home_ = 0, msix_ = 0;
};

struct Kind {
  const char* name;
  unsigned long wanted, done = 0;
  Clock::duration took{};
};

}  // namespace

int main(int argc, char** argv) {
  if (argc != 6) fail("usage: hostile-writes BDF ADDRESSES ENABLES DECODES SEED");
  const Function function(argv[1]);
  std::array<Kind, 3> kinds = {{{.name = "addresses", .wanted = std::strtoul(argv[2], nullptr, 0)},
                                {.name = "enables", .wanted = std::strtoul(argv[3], nullptr, 0)},
                                {.name = "decodes", .wanted = std::strtoul(argv[4], nullptr, 0)}}};
  std::mt19937_64 random(std::strtoull(argv[5], nullptr, 0));
  const auto before = function.look();
  function.unmask_entries();
  function.control(PCI_MSIX_FLAGS_ENABLE);

  const auto left = [&] {
    unsigned long sum = 0;
    for (const Kind& kind : kinds) sum += kind.wanted - kind.done;
    return sum;
  };
  for (unsigned long step = 0; left() != 0; ++step) {
    Kind& kind = kinds[random() % kinds.size()];
    if (kind.done >= kind.wanted) continue;
    const auto start = Clock::now();
    if (&kind == &kinds[0]) {
      function.put_bar(random() % 4 != 0 ? kBad[random() % kBad.size()] : random() & ~kFlags);
    } else if (&kind == &kinds[1]) {
      function.control(kind.done % 2 == 0 ? 0 : PCI_MSIX_FLAGS_ENABLE);
    } else {
      function.decode(kind.done % 2 != 0);
    }
    kind.took += Clock::now() - start;
    ++kind.done;
    // Write to the console, although it has no reader.
    if (step % 64 == 0) std::fprintf(stderr, "hostile-writes: %lu steps\n", step);
  }

  function.decode(true);
  function.go_home();
  function.control(PCI_MSIX_FLAGS_ENABLE);
  for (const Kind& kind : kinds) {
    std::printf("%s %lu in %lld ms\n", kind.name, kind.done,
                static_cast<long long>(
                    std::chrono::duration_cast<std::chrono::milliseconds>(kind.took).count()));
  }
  std::printf("answers %s\n", function.look() == before ? "as before" : "otherwise");
  function.control(PCI_MSIX_FLAGS_MASKALL);
  return 0;
}
