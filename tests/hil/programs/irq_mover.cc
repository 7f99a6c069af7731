// SPDX-License-Identifier: MIT
// A program for a guest that moves every MSI-X vector of its NIC between CPUs 0 and 1, each again
// as soon as its last move has taken effect. It prints "moving VECTORS", and at the end "moved
// MOVES". usage: irq-mover SYSFS-DEVICE MOVES
//
// Without interrupt remapping, Linux on x86 moves an interrupt when it fires next
// (kernel/irq/migration.c): it masks, rewrites and unmasks the vector. The NIC is an Intel 82574L,
// which fires the causes that are written into its ICS register (datasheet 10.2.4.3), so that idle
// vectors move too. This does not hide a lost interrupt of a queue: the NIC masks the cause until
// its handler has run (EIAC), so the vector stays silent and does not move.
#include <dirent.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

namespace {

using Clock = std::chrono::steady_clock;
// The deadline of a move. A move takes about 30 ms. But while packets arrive faster than the driver
// takes them, it polls and keeps the queue's interrupt off (NAPI), at worst until the end of a
// fetch.
constexpr std::chrono::seconds kDeadline(60);

constexpr size_t kRegisters = 0x20000;
constexpr size_t kInterruptCauseRead = 0xC0, kInterruptCauseSet = 0xC8;
constexpr uint32_t kReceive = 1U << 20, kTransmit = 1U << 22, kOther = 1U << 24;
constexpr uint32_t kAckFrame = 1U << 17;  // one of the other causes; the driver ignores it

[[noreturn]] void fail(const std::string& why) {
  std::printf("irq-mover: %s\n", why.c_str());
  std::exit(1);
}

int open_or_fail(const std::string& path, int flags) {
  const int fd = ::open(path.c_str(), flags);
  if (fd < 0) fail("cannot open " + path);
  return fd;
}

// An interrupt of the guest's kernel, and its target CPU.
class Interrupt {
 public:
  explicit Interrupt(const std::string& number)
      : number_(number),
        affinity_(open_or_fail("/proc/irq/" + number + "/smp_affinity", O_WRONLY)),
        effective_(open_or_fail("/proc/irq/" + number + "/effective_affinity", O_RDONLY)) {}

  void move() {
    mask_ = mask_ == '1' ? '2' : '1';
    since_ = Clock::now();
    if (::write(affinity_, &mask_, 1) != 1)
      fail("cannot set the affinity of " + number_ + " in /proc/irq");
  }

  bool has_moved() const {
    std::array<char, 64> text{};
    const ssize_t size = ::pread(effective_, text.data(), text.size(), 0);
    // Compare the last digit, which is before the end of the line.
    if (size >= 2 && text[static_cast<size_t>(size) - 2] == mask_) return true;
    if (Clock::now() - since_ > kDeadline) fail("interrupt " + number_ + " has not fired for 60 s");
    return false;
  }

 private:
  std::string number_;
  int affinity_, effective_;
  char mask_ = '1';  // as in /proc: 1 is CPU 0, 2 is CPU 1
  Clock::time_point since_;
};

std::vector<Interrupt> interrupts_of(const std::string& device) {
  std::vector<Interrupt> found;
  DIR* directory = ::opendir((device + "/msi_irqs").c_str());
  if (directory == nullptr) fail(device + " does not use MSI-X");
  while (const dirent* entry = ::readdir(directory)) {
    if (entry->d_name[0] != '.') found.emplace_back(entry->d_name);
  }
  ::closedir(directory);
  return found;
}

class Nic {
 public:
  explicit Nic(const std::string& device) {
    const int fd = open_or_fail(device + "/resource0", O_RDWR | O_SYNC);
    void* at = ::mmap(nullptr, kRegisters, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (at == MAP_FAILED) fail("cannot map the registers. Boot with iomem=relaxed");
    registers_ = static_cast<volatile uint32_t*>(at);
  }

  void fire_every_vector() {
    // The emulated NIC fires for an other cause only once until it is cleared. The driver's handler
    // only reads it, so clear it here.
    set(kInterruptCauseRead, kOther);
    set(kInterruptCauseSet, kReceive | kTransmit | kOther | kAckFrame);
  }

 private:
  void set(size_t offset, uint32_t value) { registers_[offset / sizeof value] = value; }

  volatile uint32_t* registers_;
};

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) fail("usage: irq-mover SYSFS-DEVICE MOVES");
  const std::string device = argv[1];
  const unsigned long moves = std::strtoul(argv[2], nullptr, 0);
  std::vector<Interrupt> interrupts = interrupts_of(device);
  Nic nic(device);
  std::printf("moving %zu\n", interrupts.size());
  std::fflush(stdout);

  for (Interrupt& interrupt : interrupts) interrupt.move();
  for (unsigned long moved = 0; moved < moves;) {
    nic.fire_every_vector();
    ::usleep(1);  // until the next tick: spinning would take CPU time from the delivery
    for (Interrupt& interrupt : interrupts) {
      if (moved == moves || !interrupt.has_moved()) continue;
      ++moved;
      interrupt.move();
    }
  }
  std::printf("moved %lu\n", moves);
  return 0;
}
