// SPDX-License-Identifier: MIT
// A program for a guest that resets its NVMe drive repeatedly, each time by a random method of
// Linux: it unbinds and binds the driver (probe), the kernel resets the function, or the driver
// resets the controller. After each reset it reads the drive.
// Before each reset it prints "round N METHOD". At the end it prints the number of "rounds", how
// many reads "differed" from the first, and how many rounds were "silent", without an interrupt.
// usage: nvme-resets BDF ROUNDS
#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <random>
#include <sstream>
#include <string>
#include <vector>

namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;
// The drive must be back within this time. Usually it takes a fraction of a second.
constexpr std::chrono::seconds kDeadline(20);
constexpr size_t kAtOnce = 64 << 10, kReads = 4;
constexpr std::array<const char*, 3> kDoors = {"probe", "function", "controller"};

[[noreturn]] void fail(const std::string& why) {
  std::printf("nvme-resets: %s\n", why.c_str());
  std::exit(1);
}

[[noreturn]] void failed_to(const std::string& what) {
  fail(what + ": " + std::strerror(errno));
}

void write_to(const fs::path& file, const std::string& text) {
  const int fd = ::open(file.c_str(), O_WRONLY);
  if (fd < 0 || ::write(fd, text.data(), text.size()) < 0) failed_to("write " + file.string());
  ::close(fd);
}

// Returns the entry of a directory whose name begins with `start`, or an empty path.
fs::path entry_of(const fs::path& directory, const std::string& start) {
  std::error_code gone;
  for (const auto& entry : fs::directory_iterator(directory, gone)) {
    if (entry.path().filename().string().rfind(start, 0) == 0) return entry.path();
  }
  return {};
}

// Returns the drive's controller. Its number changes each time that the driver binds the drive.
fs::path controller_of(const fs::path& device) {
  return entry_of(device / "nvme", "nvme");
}

// Returns the drive's block device, or an empty path while the drive is not ready.
fs::path live_drive(const fs::path& device) {
  const fs::path controller = controller_of(device);
  std::string state;
  std::ifstream(controller / "state") >> state;
  if (state != "live") return {};
  const fs::path drive = "/dev" / entry_of(controller, "nvme").filename();
  std::error_code gone;
  return fs::is_block_file(drive, gone) ? drive : fs::path();
}

// Waits for the drive and opens it. The previous node may still exist for a moment, without a
// device.
int wait_for_drive(const fs::path& device) {
  const auto deadline = Clock::now() + kDeadline;
  for (;;) {
    const fs::path drive = live_drive(device);
    const int fd = drive.empty() ? -1 : ::open(drive.c_str(), O_RDONLY | O_DIRECT);
    if (fd >= 0) return fd;
    if (!drive.empty() && errno != ENXIO && errno != ENOENT) failed_to("open " + drive.string());
    if (Clock::now() > deadline) fail("the drive did not come back");
    ::usleep(1);  // until the next tick
  }
}

void reset(const std::string& bdf, const fs::path& device, size_t door) {
  if (door == 0) {
    write_to("/sys/bus/pci/drivers/nvme/unbind", bdf);
    write_to("/sys/bus/pci/drivers/nvme/bind", bdf);
  } else if (door == 1) {
    write_to(device / "reset", "1");
  } else {
    write_to(controller_of(device) / "reset_controller", "1");
  }
}

// Reads from the drive itself, past the guest's page cache.
std::vector<char> read_from(int fd) {
  static char* const buffer = static_cast<char*>(std::aligned_alloc(kAtOnce, kAtOnce));
  std::vector<char> content;
  for (size_t i = 0; i < kReads; ++i) {
    if (::read(fd, buffer, kAtOnce) != ssize_t{kAtOnce}) failed_to("read the drive");
    content.insert(content.end(), buffer, buffer + kAtOnce);
  }
  ::close(fd);
  return content;
}

// Returns the number of interrupts of the drive's I/O queues, on both CPUs.
unsigned long interrupts() {
  unsigned long sum = 0;
  std::ifstream table("/proc/interrupts");
  for (std::string line; std::getline(table, line);) {
    if (line.find("nvme") == std::string::npos || line.find("q0") != std::string::npos) continue;
    std::istringstream counts(line.substr(line.find(':') + 1));
    unsigned long first = 0, second = 0;
    counts >> first >> second;
    sum += first + second;
  }
  return sum;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) fail("usage: nvme-resets BDF ROUNDS");
  const std::string bdf = argv[1];
  const fs::path device = "/sys/bus/pci/devices/" + bdf;
  const unsigned long rounds = std::strtoul(argv[2], nullptr, 0);
  std::random_device random;
  const std::vector<char> first = read_from(wait_for_drive(device));

  unsigned long differed = 0, silent = 0;
  for (unsigned long round = 0; round < rounds; ++round) {
    const size_t door = random() % kDoors.size();
    std::printf("round %lu %s\n", round, kDoors[door]);
    std::fflush(stdout);
    reset(bdf, device, door);
    const int drive = wait_for_drive(device);
    const unsigned long before = interrupts();
    if (read_from(drive) != first) ++differed;
    if (interrupts() == before) ++silent;
  }
  std::printf("rounds %lu\ndiffered %lu\nsilent %lu\n", rounds, differed, silent);
  return 0;
}
