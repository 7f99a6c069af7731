// SPDX-License-Identifier: MIT
// The price of the two ways to a register of a device in a trapped page: the kernel's (pread and
// pwrite on the VFIO device), and a mapping of the page into this process. Needs an NVMe drive on
// vfio-pci that nothing uses. Prints a table with the best of several runs, which take turns.
//
// usage: trapped_bench DEVICE [OPTION OF GOOGLE BENCHMARK]...
#include <benchmark/benchmark.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <functional>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "base/fd.h"
#include "pci/bdf.h"
#include "pci/sysfs.h"
#include "vfio/device.h"
#include "vfio/device_source.h"
#include "vfio/dma_space.h"
#include "vfio/linux_kernel.h"

namespace passthru {
namespace {

// Registers of an NVMe controller (NVM Express 1.4, 3.1). A 0 in the mask masks no interrupt.
constexpr uint64_t kStatus = 0x1c;
constexpr uint64_t kInterruptMaskSet = 0x0c;
constexpr uint32_t kNvmeClass = 0x0108;

using Value = uint32_t;

std::span<std::byte> bytes_of(Value& value) {
  return std::as_writable_bytes(std::span(&value, 1));
}

// An access by either way. It returns whether it worked.
struct Way {
  const char* name;
  std::function<bool()> access;
};

std::vector<Way> ways(VfioDevice& device, const MappedRegion& page, int zero) {
  const auto mapped = [&page](uint64_t offset) {
    return reinterpret_cast<volatile Value*>(page.data() + offset);
  };
  return {
      {"read/kernel",
       [&device] {
         Value value = 0;
         return device.read(Region::Bar0, kStatus, bytes_of(value)).has_value();
       }},
      {"read/mapping",
       [status = mapped(kStatus)] {
         benchmark::DoNotOptimize(*status);
         return true;
       }},
      {"write/kernel",
       [&device] {
         Value nothing = 0;
         return device.write(Region::Bar0, kInterruptMaskSet, bytes_of(nothing)).has_value();
       }},
      {"write/mapping",
       [mask = mapped(kInterruptMaskSet)] {
         *mask = 0;
         return true;
       }},
      {"read/zero",  // a system call of the same kind, without a device
       [zero] {
         Value value = 0;
         return ::pread(zero, &value, sizeof value, 0) == sizeof value;
       }},
  };
}

void measure(benchmark::State& state, const Way& way) {
  bool worked = true;
  for (auto _ : state) worked = way.access() && worked;
  if (!worked) state.SkipWithError("an access failed");
}

/// Prints the runs, and keeps the best time of each way.
class BestTimes : public benchmark::ConsoleReporter {
 public:
  void ReportRuns(const std::vector<Run>& runs) override {
    for (const Run& run : runs) {
      if (run.run_type != Run::RT_Iteration || run.iterations == 0) continue;
      const std::string name = run.run_name.function_name;
      const double ns = run.GetAdjustedRealTime();
      ns_[name] = ns_.contains(name) ? std::min(ns_[name], ns) : ns;
    }
  }
  void Finalize() override {
    if (ns_.size() < 5) return;  // filtered out, or failed
    GetOutputStream()
        << "| access of 4 bytes | pread, pwrite | own mapping | ratio | difference, in "
           "pread(2)s of /dev/zero |\n|---|---|---|---|---|\n"
        << row("read") << row("write");
    utsname host{};
    ::uname(&host);
    GetOutputStream() << fmt::format("\nA pread(2) of 4 bytes of /dev/zero: {:.0f} ns. Linux {}.\n",
                                     ns_["read/zero"], host.release);
  }

 private:
  std::string row(const std::string& access) {
    const double kernel = ns_[access + "/kernel"];
    const double mapping = ns_[access + "/mapping"];
    return fmt::format("| {} | {:.0f} ns | {:.0f} ns | {:.2f} | {:.1f} |\n", access, kernel,
                       mapping, kernel / mapping, (kernel - mapping) / ns_["read/zero"]);
  }

  std::map<std::string, double> ns_;
};

Result<void> run(const std::string& name) {
  LinuxKernel kernel;
  const Sysfs sysfs;
  const Bdf bdf = PASSTHRU_TRY(Bdf::parse(name));
  const PciFunction function = PASSTHRU_TRY(sysfs.function(bdf));
  if (function.class_code >> 8 != kNvmeClass)
    return fail(EINVAL, "measure " + name, "it is not an NVMe drive");
  DmaSpace nothing(kernel);  // no memory: the device can reach nothing
  DeviceHandle door = PASSTHRU_TRY(resolve_device(kernel, sysfs, bdf));
  // No guest uses the device, so interrupt remapping does not matter.
  const std::shared_ptr<VfioDevice> device = PASSTHRU_TRY(
      VfioDevice::open(kernel, nothing, std::move(door), /*allow_unsafe_interrupts=*/true));
  PASSTHRU_TRY(device->turn_decode_on());
  const MappedRegion page = PASSTHRU_TRY(device->map(Region::Bar0, 0, device->page_size()));
  const Fd zero(::open("/dev/zero", O_RDONLY | O_CLOEXEC));
  if (!zero) return fail(errno, "open /dev/zero");

  for (const Way& way : ways(*device, page, zero.get())) {
    benchmark::RegisterBenchmark(way.name, [way](benchmark::State& state) { measure(state, way); })
        ->Repetitions(9)
        ->MinTime(0.1)
        ->UseRealTime();
  }
  BestTimes best;
  benchmark::RunSpecifiedBenchmarks(&best);
  benchmark::ClearRegisteredBenchmarks();  // they refer to the device
  return {};
}

}  // namespace
}  // namespace passthru

int main(int argc, char** argv) {
  std::vector<char*> arguments(argv, argv + argc);
  std::string in_turn = "--benchmark_enable_random_interleaving=true";
  arguments.insert(arguments.begin() + 1, in_turn.data());
  int count = static_cast<int>(arguments.size());
  benchmark::Initialize(&count, arguments.data());
  if (count != 2) {
    fmt::print(stderr, "usage: trapped_bench DEVICE [OPTION OF GOOGLE BENCHMARK]...\n");
    return 2;
  }
  const auto done = passthru::run(arguments[1]);
  if (!done) fmt::print(stderr, "trapped_bench: {}\n", done.error().message());
  return done ? 0 : 1;
}
