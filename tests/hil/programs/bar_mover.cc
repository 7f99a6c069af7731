// SPDX-License-Identifier: MIT
// A program for a guest that moves the BARs of a function without a driver at random. After each
// move it reads the new and the old place. usage: bar-mover BDF MOVES SEED
#include <fcntl.h>
#include <sys/io.h>
#include <sys/mman.h>
#include <unistd.h>

#include <array>
#include <cinttypes>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <optional>
#include <random>
#include <string>
#include <vector>

namespace {

constexpr uint8_t kCommand = 4;
constexpr uint16_t kDecode = 3;  // I/O and memory
constexpr uint8_t kFirstBar = 0x10;
constexpr uint32_t kAllOnes = 0xFFFFFFFF;
// Ranges in the VMM's windows, away from Linux's own BARs, which are at the bottom.
constexpr uint64_t kLow = 0xD0000000, kLowEnd = 0xE0000000;
constexpr uint64_t kHigh = uint64_t{320} << 30, kHighEnd = uint64_t{384} << 30;
constexpr uint64_t kPorts = 0x8000, kPortsEnd = 0x10000;

struct Bar {
  unsigned index;
  bool ports, wide;
  uint64_t size, home, at;
  std::array<uint32_t, 2> says;  // the registers at 0 and 8, which never change by themselves

  bool holds(uint64_t address, uint64_t length) const {
    return address < at + size && at < address + length;
  }
};

[[noreturn]] void fail(const std::string& why) {
  std::printf("bar-mover: %s\n", why.c_str());
  std::exit(1);
}

class Function {
 public:
  explicit Function(const std::string& bdf)
      : config_(::open(("/sys/bus/pci/devices/" + bdf + "/config").c_str(), O_RDWR)),
        memory_(::open("/dev/mem", O_RDONLY | O_SYNC)) {
    if (config_ < 0 || memory_ < 0 || ::iopl(3) != 0) fail("cannot open " + bdf + " or /dev/mem");
    command_ = static_cast<uint16_t>(read(kCommand) & 0xFFFF);
    decode(true);
    find_bars();
  }

  std::vector<Bar>& bars() { return bars_; }

  uint32_t read(uint8_t offset) const {
    uint32_t value = 0;
    if (::pread(config_, &value, 4, offset) != 4) fail("cannot read config space");
    return value;
  }

  void write(uint8_t offset, uint64_t value, size_t size) const {
    if (::pwrite(config_, &value, size, offset) != static_cast<ssize_t>(size))
      fail("cannot write config space");
  }

  void decode(bool on) const {
    write(kCommand, on ? command_ | kDecode : command_ & ~uint32_t{kDecode}, 2);
  }

  // Moves a BAR. `order` picks the order and the width of the writes.
  void move(Bar& bar, uint64_t address, unsigned order) const {
    const auto offset = static_cast<uint8_t>(kFirstBar + 4 * bar.index);
    if (bar.wide && order % 3 == 0) {
      write(offset, address, 8);
    } else if (bar.wide && order % 3 == 1) {
      write(static_cast<uint8_t>(offset + 4), address >> 32, 4);
      write(offset, address & kAllOnes, 4);
    } else {
      write(offset, address & kAllOnes, 4);
      if (bar.wide) write(static_cast<uint8_t>(offset + 4), address >> 32, 4);
    }
    bar.at = address;
  }

  // Returns the registers at 0 and 8 from `address` on.
  std::array<uint32_t, 2> look(const Bar& bar, uint64_t address) const {
    const uint64_t second = bar.size > 8 ? 8 : 0;
    if (bar.ports) {
      const auto port = static_cast<uint16_t>(address);
      return {inl(port), inl(static_cast<uint16_t>(port + second))};
    }
    const uint64_t page = address & ~uint64_t{0xFFF};
    void* at = ::mmap(nullptr, 0x1000, PROT_READ, MAP_SHARED, memory_, static_cast<off_t>(page));
    if (at == MAP_FAILED) fail("cannot map /dev/mem");
    const auto* words =
        reinterpret_cast<const volatile uint32_t*>(static_cast<const char*>(at) + (address - page));
    const std::array<uint32_t, 2> seen = {words[0], words[second / 4]};
    ::munmap(at, 0x1000);
    return seen;
  }

 private:
  void find_bars() {
    for (unsigned index = 0; index < 6; ++index) {
      const auto offset = static_cast<uint8_t>(kFirstBar + 4 * index);
      const uint32_t was = read(offset);
      write(offset, kAllOnes, 4);  // with decode on, as some firmware does
      const uint32_t mask = read(offset);
      write(offset, was, 4);
      if (mask == 0) continue;
      Bar bar{};
      bar.index = index;
      bar.ports = (was & 1) != 0;
      bar.wide = !bar.ports && (was & 6) == 4;
      const uint32_t flags = bar.ports ? 3 : 15;
      bar.size = ~(mask & ~flags) + 1;  // none of the lab's devices has a BAR of 4 GiB
      if (bar.ports) bar.size &= 0xFFFF;
      bar.home = bar.at = was & ~flags;
      if (bar.wide) bar.home = bar.at |= uint64_t{read(static_cast<uint8_t>(offset + 4))} << 32;
      bar.says = look(bar, bar.at);
      bars_.push_back(bar);
      if (bar.wide) ++index;
    }
  }

  int config_, memory_;
  uint16_t command_ = 0;
  std::vector<Bar> bars_;
};

std::string words(const std::array<uint32_t, 2>& values) {
  std::array<char, 32> text{};
  std::snprintf(text.data(), text.size(), "%08" PRIx32 " %08" PRIx32, values[0], values[1]);
  return text.data();
}

// Checks the registers of every BAR that no other BAR of the function overlaps.
void check(Function& function, const char* when) {
  for (const Bar& bar : function.bars()) {
    bool covered = false;
    for (const Bar& other : function.bars()) {
      covered |= &other != &bar && other.ports == bar.ports && other.holds(bar.at, bar.size);
    }
    if (covered) continue;
    const auto seen = function.look(bar, bar.at);
    if (seen != bar.says) {
      fail("BAR " + std::to_string(bar.index) + " " + when + ": read " + words(seen) +
           ", expected " + words(bar.says));
    }
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 4) fail("usage: bar-mover BDF MOVES SEED");
  Function function(argv[1]);
  const unsigned long moves = std::strtoul(argv[2], nullptr, 0);
  std::mt19937_64 random(std::strtoull(argv[3], nullptr, 0));
  auto& bars = function.bars();
  if (bars.empty()) fail("the function has no BAR");
  check(function, "at the start");

  unsigned overlaps = 0;
  for (unsigned long done = 0; done < moves; ++done) {
    Bar& bar = bars[random() % bars.size()];
    const uint64_t old = bar.at;
    const uint64_t start = bar.ports ? kPorts : bar.wide && random() % 2 ? kHigh : kLow;
    const uint64_t end = bar.ports ? kPortsEnd : start == kHigh ? kHighEnd : kLowEnd;
    uint64_t to = start + random() % ((end - start) / bar.size) * bar.size;
    // Sometimes on top of another BAR, for a short time.
    const Bar& other = bars[random() % bars.size()];
    if (random() % 8 == 0 && &other != &bar && other.ports == bar.ports &&
        (bar.wide || other.at + bar.size < kAllOnes)) {
      to = other.at & ~(bar.size - 1);
      ++overlaps;
    }
    const bool quietly = random() % 2;
    if (quietly) function.decode(false);
    function.move(bar, to, static_cast<unsigned>(random()));
    if (quietly) {
      const auto seen = function.look(bar, bar.at);
      if (seen[0] != kAllOnes) fail("decode is off, but " + words(seen) + " answers");
      function.decode(true);
    }
    check(function, "after a move");
    bool left = true;
    for (const Bar& any : bars) left &= any.ports != bar.ports || !any.holds(old, bar.size);
    if (left) {
      const auto seen = function.look(bar, old);
      if (seen[0] != kAllOnes)
        fail("the old place of BAR " + std::to_string(bar.index) + " answers " + words(seen));
    }
  }
  for (Bar& bar : bars) function.move(bar, bar.home, 0);
  check(function, "at the end");
  std::printf("bar-mover: %lu moves of %zu BARs, %u of them onto another\n", moves, bars.size(),
              overlaps);
  return 0;
}
