// SPDX-License-Identifier: MIT
// Owns moving interrupts: a program of a guest that moves every MSI-X vector of a NIC between two CPUs, all at once and
// again and again, each time until the moves have taken effect. Says how many vectors those were, how often they were
// moved, and which did not move within a deadline: "vectors N", "moved N", "late N". usage: irq-mover BDF ROUNDS
//
// Without interrupt remapping, x86 moves an interrupt when it fires the next time (kernel/irq/migration.c): masked,
// rewritten, unmasked. The NIC is an Intel 82574L, which fires what is written into its ICS register (datasheet
// 10.2.4.3), so that those vectors move as well which are quiet under load. That does not cover for an interrupt that
// is lost: the device then waits for its handler (auto-mask, EIAC), fires no more, and the move is late.
#include <dirent.h>
#include <fcntl.h>
#include <sched.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

namespace {

constexpr std::chrono::seconds kDeadline(3);
constexpr size_t kRegisters = 0x20000;
constexpr size_t kInterruptCauseSet = 0xC8;
constexpr size_t kInterruptCauseRead = 0xC0;
constexpr uint32_t kOther = 1U << 24, kAck = 1U << 17;
constexpr uint32_t kEveryVector = 1U << 20 | 1U << 22 | kOther | kAck;

[[noreturn]] void fail(const std::string& why) {
  std::printf("irq-mover: %s: %s\n", why.c_str(), std::strerror(errno));
  std::exit(1);
}

int open_or_fail(const std::string& path, int flags) {
  const int fd = ::open(path.c_str(), flags);
  if (fd < 0) fail("cannot open " + path);
  return fd;
}

// One interrupt of the guest's kernel.
class Interrupt {
 public:
  explicit Interrupt(const std::string& number)
      : wanted_(open_or_fail("/proc/irq/" + number + "/smp_affinity", O_WRONLY)),
        effective_(open_or_fail("/proc/irq/" + number + "/effective_affinity", O_RDONLY)) {}

  // `mask` has bit N set for CPU N.
  void move(char mask) const {
    if (::write(wanted_, &mask, 1) != 1) fail("an affinity cannot be written");
  }

  bool is_at(char mask) const {
    char text[64];
    const ssize_t size = ::pread(effective_, text, sizeof text, 0);
    return size >= 2 && text[size - 2] == mask;  // the last digit, before the end of line
  }

 private:
  int wanted_, effective_;
};

std::vector<Interrupt> interrupts_of(const std::string& device) {
  std::vector<Interrupt> found;
  DIR* directory = ::opendir((device + "/msi_irqs").c_str());
  if (directory == nullptr) fail(device + " has no MSI-X");
  while (const dirent* entry = ::readdir(directory)) {
    if (entry->d_name[0] != '.') found.emplace_back(entry->d_name);
  }
  ::closedir(directory);
  return found;
}

volatile uint32_t* registers_of(const std::string& device) {
  const int fd = open_or_fail(device + "/resource0", O_RDWR | O_SYNC);
  void* at = ::mmap(nullptr, kRegisters, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  if (at == MAP_FAILED) fail("the NIC's registers cannot be mapped");
  return static_cast<volatile uint32_t*>(at);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) fail("usage: irq-mover BDF ROUNDS");
  const std::string device = std::string("/sys/bus/pci/devices/") + argv[1];
  const unsigned long rounds = std::strtoul(argv[2], nullptr, 0);
  const std::vector<Interrupt> interrupts = interrupts_of(device);
  volatile uint32_t* const registers = registers_of(device);
  std::printf("vectors %zu\nmoving\n", interrupts.size());
  std::fflush(stdout);

  unsigned long moved = 0, late = 0, looks = 0;
  char mask = '2';
  int slp = getenv("SLEEP") ? atoi(getenv("SLEEP")) : -1;
  long pre = getenv("PRE") ? atoi(getenv("PRE")) : -1;
  for (unsigned long round = 0; round < rounds; ++round) {
    if (pre >= 0) {
        registers[kInterruptCauseRead / sizeof(uint32_t)] = kOther;
        registers[kInterruptCauseSet / sizeof(uint32_t)] = kEveryVector;
        usleep(pre);
    }
    for (const Interrupt& interrupt : interrupts) interrupt.move(mask);
    const auto deadline = std::chrono::steady_clock::now() + kDeadline;
    for (const Interrupt& interrupt : interrupts) {
      while (!interrupt.is_at(mask)) {
        ++looks;
        if (std::chrono::steady_clock::now() > deadline) {
          ++late;
          std::printf("round %lu late %zu\n", round, &interrupt - &interrupts[0]);
          system("cat /proc/interrupts | grep eth0; cd /proc/irq; for i in 24 25 26; do cat $i/smp_affinity $i/effective_affinity; done");
          if (late > 3) exit(3);
          break;
        }
        registers[kInterruptCauseRead / sizeof(uint32_t)] = kOther;
        registers[kInterruptCauseSet / sizeof(uint32_t)] = kEveryVector;
        if (slp>=0) usleep(slp); else
        ::sched_yield();
      }
      ++moved;
    }
    mask = mask == '1' ? '2' : '1';
  }
  std::printf("looks %lu\n", looks);
  std::printf("moved %lu\nlate %lu\n", moved, late);
  return 0;
}
