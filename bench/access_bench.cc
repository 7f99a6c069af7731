// SPDX-License-Identifier: MIT
// The price of a trapped access: finding its target among 4,096 windows, alone and while a third
// thread moves windows. The comparison is the peers' structure, a std::map under a
// std::shared_mutex. Prints ratios last. They use the best of several runs, so other load disturbs
// them little. bench/layout_bench.cc measures a move.
#include <benchmark/benchmark.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <iterator>
#include <map>
#include <memory>
#include <mutex>
#include <random>
#include <shared_mutex>
#include <string>
#include <thread>
#include <vector>

#include "mmap/address_space.h"

namespace passthru {
namespace {

constexpr uint64_t kWindows = 4096;
constexpr uint64_t kBase = 0x100000000;
constexpr uint64_t kStride = 0x4000;
constexpr uint64_t kSize = 0x1000;

uint64_t base_of(uint64_t window) {
  return kBase + window * kStride;
}

class Nothing : public AccessTarget {
 public:
  void read(uint64_t offset, std::span<std::byte> data) override {
    data[0] = static_cast<std::byte>(offset);
  }
  void write(uint64_t /*offset*/, std::span<const std::byte> /*data*/) override {}
};

/// Passthru's address space with all windows.
class Ours {
 public:
  Ours() {
    AddressSpaceChange change;
    for (uint64_t i = 0; i < kWindows; ++i) change.add.push_back({base_of(i), kSize, target_, {}});
    ids_ = *space_.commit(std::move(change));
  }
  bool read(uint64_t address, std::span<std::byte> data) const {
    return space_.read(address, data);
  }
  void move(uint64_t window, uint64_t base) {
    ids_[window] = space_.commit({{ids_[window]}, {{base, kSize, target_, {}}}})->front();
  }

 private:
  AddressSpace space_{uint64_t{1} << 40, nullptr};
  std::shared_ptr<AccessTarget> target_ = std::make_shared<Nothing>();
  std::vector<WindowId> ids_;
};

/// The peers' structure: ordered by base; readers hold the lock shared while the target answers.
class MapAndLock {
 public:
  MapAndLock() {
    for (uint64_t i = 0; i < kWindows; ++i) bases_[base_of(i)] = {kSize, target_};
  }
  bool read(uint64_t address, std::span<std::byte> data) const {
    const std::shared_lock lock(mutex_);
    auto next = bases_.upper_bound(address);
    if (next == bases_.begin()) return false;
    const auto& [base, window] = *--next;
    if (address - base >= window.size) return false;
    window.target->read(address - base, data);
    return true;
  }
  void move(uint64_t window, uint64_t base) {
    const std::unique_lock lock(mutex_);
    const uint64_t old = moved_to_ != 0 ? moved_to_ : base_of(window);
    bases_.erase(old);
    bases_[base] = {kSize, target_};
    moved_to_ = base;
  }

 private:
  struct Window {
    uint64_t size;
    std::shared_ptr<AccessTarget> target;
  };
  mutable std::shared_mutex mutex_;
  std::map<uint64_t, Window> bases_;
  std::shared_ptr<AccessTarget> target_ = std::make_shared<Nothing>();
  uint64_t moved_to_ = 0;
};

/// Addresses as a guest uses them: any window, any register.
const std::vector<uint64_t>& addresses() {
  static const std::vector<uint64_t> all = [] {
    std::mt19937_64 random(3);
    std::vector<uint64_t> made(1 << 16);
    for (uint64_t& address : made)
      address = base_of(random() % (kWindows - 1)) + random() % kSize / 8 * 8;
    return made;
  }();
  return all;
}

template <class Space>
void read_loop(benchmark::State& state, const Space& space) {
  const std::vector<uint64_t>& all = addresses();
  size_t next = static_cast<size_t>(state.thread_index()) * 1000;
  std::array<std::byte, 4> data{};
  for (auto _ : state) {
    space.read(all[next++ % all.size()], data);
    benchmark::DoNotOptimize(data);
  }
  state.SetItemsProcessed(state.iterations());
}

template <class Space>
void read_alone(benchmark::State& state) {
  static const Space space;
  read_loop(state, space);
}

/// Moves the last window to and fro every millisecond, far more often than a guest can. If there
/// are only as many cores as readers, the mover itself takes CPU time from them.
template <class Space>
void read_beside_a_mover(benchmark::State& state) {
  static Space space;
  static std::atomic<bool> stop;
  static std::thread mover;
  if (state.thread_index() == 0) {
    stop = false;
    mover = std::thread([] {
      for (uint64_t turn = 0; !stop; ++turn) {
        space.move(kWindows - 1, base_of(kWindows + turn % 2));
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
      }
    });
  }
  read_loop(state, space);
  if (state.thread_index() == 0) {
    stop = true;
    mover.join();
  }
}

void measure(benchmark::internal::Benchmark* benchmark) {
  benchmark->ThreadRange(1, 2)->UseRealTime()->Repetitions(9);
}

BENCHMARK(read_alone<Ours>)->Name("read/passthru")->Apply(measure);
BENCHMARK(read_alone<MapAndLock>)->Name("read/map+shared_mutex")->Apply(measure);
BENCHMARK(read_beside_a_mover<Ours>)->Name("read_beside_a_mover/passthru")->Apply(measure);
BENCHMARK(read_beside_a_mover<MapAndLock>)
    ->Name("read_beside_a_mover/map+shared_mutex")
    ->Apply(measure);

/// Prints the median of each benchmark, and then the ratios of the best runs.
class Ratios : public benchmark::ConsoleReporter {
 public:
  void ReportRuns(const std::vector<Run>& runs) override {
    std::vector<Run> medians;
    std::copy_if(runs.begin(), runs.end(), std::back_inserter(medians),
                 [](const Run& run) { return run.aggregate_name == "median"; });
    ConsoleReporter::ReportRuns(medians);
    for (const Run& run : runs) {
      const auto rate = run.counters.find("items_per_second");  // a failed run has no rate
      if (run.run_type != Run::RT_Iteration || rate == run.counters.end()) continue;
      const std::pair key(run.run_name.function_name, run.threads);
      rate_[key] = std::max(rate_[key], rate->second.value);
      const double cpu = run.GetAdjustedCPUTime();
      cpu_[key] = cpu_.contains(key) ? std::min(cpu_[key], cpu) : cpu;
    }
  }
  void Finalize() override {
    const auto rate = [this](const char* name, int64_t threads) { return rate_[{name, threads}]; };
    const auto cpu = [this](const char* name, int64_t threads) { return cpu_[{name, threads}]; };
    constexpr const char* kOurs = "read_beside_a_mover/passthru";
    constexpr const char* kTheirs = "read_beside_a_mover/map+shared_mutex";
    if (rate(kOurs, 2) == 0 || rate(kTheirs, 2) == 0) return;  // filtered out
    GetOutputStream() << fmt::format(
        "\none access, one thread:                     {:6.1f} ns\n"
        "one access, one thread, with a mover:       {:6.1f} ns\n"
        "two threads to one, with a mover:           {:6.2f} x\n"
        "the same by CPU time, as on idle cores:       {:4.2f} x\n"
        "to map+shared_mutex, two threads, a mover:  {:6.2f} x\n",
        1e9 / rate("read/passthru", 1), 1e9 / rate(kOurs, 1), rate(kOurs, 2) / rate(kOurs, 1),
        2 * cpu(kOurs, 1) / cpu(kOurs, 2), rate(kOurs, 2) / rate(kTheirs, 2));
  }

 private:
  using Key = std::pair<std::string, int64_t>;  ///< name and threads
  std::map<Key, double> rate_;                  ///< accesses a second
  std::map<Key, double> cpu_;  ///< ns of CPU time of one access: readers never wait
};

}  // namespace
}  // namespace passthru

int main(int argc, char** argv) {
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
  passthru::Ratios ratios;
  benchmark::RunSpecifiedBenchmarks(&ratios);
  return 0;
}
