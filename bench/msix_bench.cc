// SPDX-License-Identifier: MIT
// The price of MSI-X on its way from the guest: a table write, a mask and unmask, the check of a
// live vector, and the SET_IRQS calls to enable it. If an index cannot grow, the simple way to add
// a vector is to disable all and enable all: two calls for each. msix_routes.cc measures KVM's
// routing table.
#include <benchmark/benchmark.h>

#include <cstdlib>

#include "bench/msix_function.h"

namespace passthru {
namespace {

/// A VMM that costs nothing: the rest is our code and the fake kernel's eventfds.
class Nowhere : public Router {
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

  uint64_t route_updates = 0;

 private:
  RouteId next_ = 0;
};

void table_write(benchmark::State& state) {
  Nowhere vmm;
  MsixFunction function(vmm, 64, true);
  uint32_t value = 0xfee00000;
  for (auto unused : state) function.put(0, value ^= 0x1000);
}
BENCHMARK(table_write);

// What a guest's kernel does when it moves an interrupt to another CPU: no SET_IRQS, and no route
// update if the message stays the same.
void mask_and_unmask(benchmark::State& state) {
  Nowhere vmm;
  MsixFunction function(vmm, 64, true);
  function.unmask(3);
  function.msix().write_control(PCI_MSIX_FLAGS_ENABLE);
  const uint64_t before = function.msix().counters().set_irqs_calls;
  for (auto unused : state) {
    function.mask(3);
    function.unmask(3);
  }
  state.counters["SET_IRQS"] =
      static_cast<double>(function.msix().counters().set_irqs_calls - before);
  state.counters["route_updates"] = static_cast<double>(vmm.route_updates);
}
BENCHMARK(mask_and_unmask);

void audit_a_vector(benchmark::State& state) {
  const auto vectors = static_cast<unsigned>(state.range(0));
  Nowhere vmm;
  MsixFunction function(vmm, vectors, true);
  for (unsigned vector = 0; vector < vectors; ++vector) function.unmask(vector);
  function.msix().write_control(PCI_MSIX_FLAGS_ENABLE);
  for (auto unused : state) {
    if (function.msix().audit() != 0U) std::abort();
  }
  state.counters["a_vector"] = benchmark::Counter(
      static_cast<double>(vectors),
      benchmark::Counter::kIsIterationInvariantRate | benchmark::Counter::kInvert);
}
BENCHMARK(audit_a_vector)->Arg(1)->Arg(64)->Arg(2048);

// A guest enables MSI-X first and unmasks its vectors in turn, as Linux does.
void enable_one_by_one(benchmark::State& state) {
  const auto vectors = static_cast<unsigned>(state.range(0));
  const bool noresize = state.range(1) != 0;
  uint64_t calls = 0;
  for (auto unused : state) {
    Nowhere vmm;
    MsixFunction function(vmm, vectors, noresize);
    function.msix().write_control(PCI_MSIX_FLAGS_ENABLE);
    for (unsigned vector = 0; vector < vectors; ++vector) function.unmask(vector);
    calls = function.msix().counters().set_irqs_calls;
  }
  state.counters["SET_IRQS"] = static_cast<double>(calls);
}
BENCHMARK(enable_one_by_one)
    ->ArgNames({"vectors", "noresize"})
    ->ArgsProduct({{1, 64, 2048}, {0, 1}})
    ->Iterations(1)
    ->Unit(benchmark::kMillisecond);

// All vectors unmasked before Enable: one call for any number.
void enable_at_once(benchmark::State& state) {
  const auto vectors = static_cast<unsigned>(state.range(0));
  uint64_t calls = 0;
  for (auto unused : state) {
    Nowhere vmm;
    MsixFunction function(vmm, vectors, true);
    for (unsigned vector = 0; vector < vectors; ++vector) function.unmask(vector);
    function.msix().write_control(PCI_MSIX_FLAGS_ENABLE);
    calls = function.msix().counters().set_irqs_calls;
  }
  state.counters["SET_IRQS"] = static_cast<double>(calls);
}
BENCHMARK(enable_at_once)->Arg(1)->Arg(64)->Arg(2048)->Iterations(1)->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace passthru

BENCHMARK_MAIN();
