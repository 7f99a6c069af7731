// SPDX-License-Identifier: MIT
// The price of a BAR with many spans: laying it out, moving it, and undoing a refused move. Prints
// each for 64 to 4,096 spans; the time per span must not grow.
#include <benchmark/benchmark.h>

#include <memory>
#include <vector>

#include "mmap/address_space.h"
#include "mmap/bar_layout.h"

namespace passthru {
namespace {

constexpr uint64_t kPage = 4096;
constexpr uint64_t kHere = 0x100000000;
constexpr uint64_t kThere = 0x200000000;

/// A mapper that does nothing, and refuses every mapping at or above an address.
class Mapper : public GuestMapper {
 public:
  Result<void> map(const GuestMapping& mapping) override {
    if (mapping.address >= refused_from) return fail(ENOSPC, "map");
    return {};
  }
  Result<void> unmap(const GuestMapping& /*mapping*/) override { return {}; }
  uint64_t refused_from = UINT64_MAX;
};

class Nobody : public AccessTarget {
 public:
  void read(uint64_t /*offset*/, std::span<std::byte> /*data*/) override {}
  void write(uint64_t /*offset*/, std::span<const std::byte> /*data*/) override {}
};

/// A window with every second page mapped.
Window window_of(uint64_t base, uint64_t spans) {
  Window window{base, spans * 2 * kPage, std::make_shared<Nobody>(), {}};
  for (uint64_t i = 0; i < spans; ++i) {
    const uint64_t offset = i * 2 * kPage;
    // Never accessed: only the address matters.
    window.spans.push_back({offset, kPage, reinterpret_cast<std::byte*>(kHere + offset)});
  }
  return window;
}

void per_span(benchmark::State& state) {
  state.SetComplexityN(state.range(0));
  state.counters["a_span"] = benchmark::Counter(
      static_cast<double>(state.range(0)),
      benchmark::Counter::kIsIterationInvariantRate | benchmark::Counter::kInvert);
}

void layout(benchmark::State& state) {
  const auto spans = static_cast<uint64_t>(state.range(0));
  BarLayoutInput input;
  input.size = spans * 2 * kPage;
  input.region.size = input.size;
  input.region.mappable = true;
  for (uint64_t i = 0; i < spans; ++i) input.region.sparse.push_back({i * 2 * kPage, kPage});
  for (auto _ : state) benchmark::DoNotOptimize(layout_bar(input));
  per_span(state);
}

/// Moves the BAR to the other address, with all its mappings.
void move(benchmark::State& state) {
  const auto spans = static_cast<uint64_t>(state.range(0));
  Mapper mapper;
  AddressSpace space(uint64_t{1} << 40, &mapper, kPage);
  WindowId id = space.commit({{}, {window_of(kHere, spans)}})->front();
  bool there = false;
  for (auto _ : state) {
    there = !there;
    id = space.commit({{id}, {window_of(there ? kThere : kHere, spans)}})->front();
  }
  per_span(state);
}

/// The VMM refuses the last mapping, so the move is undone.
void undo(benchmark::State& state) {
  const auto spans = static_cast<uint64_t>(state.range(0));
  Mapper mapper;
  AddressSpace space(uint64_t{1} << 40, &mapper, kPage);
  const WindowId id = space.commit({{}, {window_of(kHere, spans)}})->front();
  mapper.refused_from = kThere + (spans - 1) * 2 * kPage;
  for (auto _ : state) {
    const auto refused = space.commit({{id}, {window_of(kThere, spans)}});
    if (refused) state.SkipWithError("the mapper did not refuse the move");
  }
  per_span(state);
}

void sizes(benchmark::internal::Benchmark* benchmark) {
  benchmark->RangeMultiplier(4)->Range(64, 4096)->Complexity(benchmark::oN);
}

BENCHMARK(layout)->Apply(sizes);
BENCHMARK(move)->Apply(sizes);
BENCHMARK(undo)->Apply(sizes);

}  // namespace
}  // namespace passthru

BENCHMARK_MAIN();
