// SPDX-License-Identifier: MIT
// Owns the price of MSI-X on its way from the guest: a table write, a mask and unmask, the look at
// a live vector; and how many SET_IRQS calls enabling costs. Where an index cannot grow, the plain
// way to one vector more is to disable all and enable all: two calls for each.
#include <benchmark/benchmark.h>

#include <cstdlib>
#include <memory>

#include "irq/msix.h"
#include "tests/fakes/fake_kernel.h"

namespace passthru {
namespace {

/// A VMM that costs nothing: what is left is ours, and the fake kernel's eventfds.
class Nowhere : public Router, public VectorObserver {
 public:
  Result<RouteId> create_route(const MsiMessage& /*message*/, uint16_t /*requester_id*/) override {
    return next_++;
  }
  Result<void> update_route(RouteId /*route*/, const MsiMessage& /*message*/) override {
    ++route_updates;
    return {};
  }
  void destroy_route(RouteId /*route*/) override {}
  Result<void> arm(RouteId /*route*/, int /*eventfd*/) override { return {}; }
  void disarm(RouteId /*route*/, int /*eventfd*/) override {}
  Result<void> signal_msi(const MsiMessage& /*message*/, uint16_t /*requester_id*/) override {
    return {};
  }
  void set_intx(Bdf /*guest_address*/, unsigned /*pin*/, bool /*level*/) override {}
  void vector_failed(unsigned /*vector*/, const Error& /*error*/) override { std::abort(); }
  void vectors_restored(unsigned /*count*/) override {}
  void intx_failed(const Error& /*error*/) override {}

  uint64_t route_updates = 0;

 private:
  RouteId next_ = 0;
};

FakeSpec device_with(unsigned vectors, bool noresize) {
  FakeSpec spec = FakeSpec::nvme();
  spec.bars[0].size = 0x20000;
  spec.msix = {.vectors = vectors,
               .table_bar = 0,
               .table_offset = 0x2000,
               .pba_bar = 0,
               .pba_offset = 0x10000,
               .noresize = noresize};
  return spec;
}

class Function {
 public:
  Function(unsigned vectors, bool noresize) {
    const FakeSpec spec = device_with(vectors, noresize);
    kernel_.add(spec);
    auto device = VfioDevice::open(kernel_, dma_, spec.door());
    if (!device) std::abort();
    msix_ = std::make_unique<Msix>(*device, spec.msix.layout(), router_, vmm,
                                   Msix::Options{.wake = [] { return Result<void>{}; }});
    table_ = msix_->table_target();
    for (unsigned vector = 0; vector < vectors; ++vector) {
      put(uint64_t{vector} * 16, 0xfee00000);
      put(uint64_t{vector} * 16 + 8, 0x41);
    }
  }

  void put(uint64_t offset, uint32_t value) {
    table_->write(offset, std::as_bytes(std::span{&value, 1}));
  }
  void unmask(unsigned vector) { put(uint64_t{vector} * 16 + 12, 0); }
  void mask(unsigned vector) { put(uint64_t{vector} * 16 + 12, 1); }
  Msix& msix() { return *msix_; }

  Nowhere vmm{};

 private:
  ForwardingRouter router_{vmm};
  FakeKernel kernel_;
  DmaSpace dma_{kernel_};
  std::unique_ptr<Msix> msix_;
  std::shared_ptr<AccessTarget> table_;
};

void table_write(benchmark::State& state) {
  Function function(64, true);
  uint32_t value = 0xfee00000;
  for (auto unused : state) function.put(0, value ^= 0x1000);
}
BENCHMARK(table_write);

// What a guest's kernel does around each change of an interrupt's CPU: no SET_IRQS, and no route
// update where the message stays as it was.
void mask_and_unmask(benchmark::State& state) {
  Function function(64, true);
  function.unmask(3);
  function.msix().write_control(kMsixEnable);
  const uint64_t before = function.msix().set_irqs_calls();
  for (auto unused : state) {
    function.mask(3);
    function.unmask(3);
  }
  state.counters["SET_IRQS"] = static_cast<double>(function.msix().set_irqs_calls() - before);
  state.counters["route_updates"] = static_cast<double>(function.vmm.route_updates);
}
BENCHMARK(mask_and_unmask);

void audit_a_vector(benchmark::State& state) {
  const auto vectors = static_cast<unsigned>(state.range(0));
  Function function(vectors, true);
  for (unsigned vector = 0; vector < vectors; ++vector) function.unmask(vector);
  function.msix().write_control(kMsixEnable);
  for (auto unused : state) {
    if (function.msix().audit() != 0U) std::abort();
  }
  state.counters["a_vector"] = benchmark::Counter(
      static_cast<double>(vectors),
      benchmark::Counter::kIsIterationInvariantRate | benchmark::Counter::kInvert);
}
BENCHMARK(audit_a_vector)->Arg(1)->Arg(64)->Arg(2048);

// A guest enables MSI-X first and unmasks its vectors one by one, as Linux does.
void enable_one_by_one(benchmark::State& state) {
  const auto vectors = static_cast<unsigned>(state.range(0));
  const bool noresize = state.range(1) != 0;
  uint64_t calls = 0;
  for (auto unused : state) {
    Function function(vectors, noresize);
    function.msix().write_control(kMsixEnable);
    for (unsigned vector = 0; vector < vectors; ++vector) function.unmask(vector);
    calls = function.msix().set_irqs_calls();
  }
  state.counters["SET_IRQS"] = static_cast<double>(calls);
}
BENCHMARK(enable_one_by_one)
    ->ArgNames({"vectors", "noresize"})
    ->ArgsProduct({{1, 64, 2048}, {0, 1}})
    ->Iterations(1)
    ->Unit(benchmark::kMillisecond);

// Everything unmasked before Enable: one call, however many.
void enable_at_once(benchmark::State& state) {
  const auto vectors = static_cast<unsigned>(state.range(0));
  uint64_t calls = 0;
  for (auto unused : state) {
    Function function(vectors, true);
    for (unsigned vector = 0; vector < vectors; ++vector) function.unmask(vector);
    function.msix().write_control(kMsixEnable);
    calls = function.msix().set_irqs_calls();
  }
  state.counters["SET_IRQS"] = static_cast<double>(calls);
}
BENCHMARK(enable_at_once)->Arg(1)->Arg(64)->Arg(2048)->Iterations(1)->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace passthru

BENCHMARK_MAIN();
